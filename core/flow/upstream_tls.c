/* upstream_tls.c — see upstream_tls.h. Certificates that requests choose are read when a connection is needed, as the files are then: they may be
 * changed without a reload. */
#include "flow/upstream_tls.h"

#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/tmpl.h"
#include "tls/vault.h"

#include <stdlib.h>

enum { WHY_MAX = 300 };

struct upstream_tls {
    const struct conf_tlsclient *c;
    tls_client *fixed; /* NULL: requests choose */
    bool h2;           /* offered */
    tmpl *name, *cert, *key;
    tls_vault *vault;  /* of those files */
};

static str or_empty(str s)
{
    return s.p ? s : STR_EMPTY;
}

static struct tls_client_args args_of(const struct conf_tlsclient *c)
{
    return (struct tls_client_args){
        .verify = c->verify,
        .no_sni = !c->sni,
        .verify_depth = (int)c->verify_depth,
        .ca_pem = or_empty(c->ca_pem),
        .crl_pem = or_empty(c->crl_pem),
        .protocols = c->protocols.n ? c->protocols.p : NULL,
        .ciphers = c->ciphers.n ? c->ciphers.p : NULL,
        .cert_pem = or_empty(c->cert_pem),
        .key_pem = or_empty(c->key_pem),
        .passwords = c->passwords.v,
        .npasswords = c->passwords.n,
        .commands = c->commands.v,
        .ncommands = c->commands.n,
    };
}

static void on_fini(void *arg)
{
    tls_client_unref(arg);
}

static void on_vault_fini(void *arg)
{
    tls_vault_free(arg);
}

static bool compile(plan *p, const route *rt, str text, tmpl **out, char *err, size_t errcap)
{
    *out = text.p ? tmpl_compile_for(text, rt, &p->pool, err, errcap) : NULL;
    return !text.p || *out;
}

struct upstream_tls *upstream_tls_new(plan *p, const route *rt, const struct conf_tlsclient *c, char *err, size_t errcap)
{
    struct upstream_tls *t = pool_zalloc(&p->pool, sizeof *t);
    t->c = c;
    t->h2 = rt->c->upstream_http == CONF_HTTP_2;
    if (!compile(p, rt, c->name, &t->name, err, errcap) || !compile(p, rt, c->cert_file, &t->cert, err, errcap) ||
        !compile(p, rt, c->key_file, &t->key, err, errcap)) {
        return NULL;
    }
    if (!t->cert) {
        struct tls_client_args a = args_of(c);
        a.alpn_h2 = t->h2;
        t->fixed = tls_client_new(&a, err, errcap);
        if (!t->fixed) {
            return NULL;
        }
        pool_on_fini(&p->pool, on_fini, t->fixed);
    }
    if (t->cert) {
        t->vault = tls_vault_new(&(struct tls_vault_args){
            .folder = c->folder, .max = c->kept, .inactive_ms = c->kept_unused, .valid_ms = c->kept_unseen,
            .passwords = c->passwords.v, .npasswords = c->passwords.n});
        pool_on_fini(&p->pool, on_vault_fini, t->vault);
    }
    return t;
}

/* ---- files */

/* The pair's bytes, in the request's pool. */
static int load(const struct upstream_tls *t, req *r, str cert, str key, struct tls_client_args *a)
{
    char why[WHY_MAX];
    const str names[2] = {cert, key};
    str *const bytes[2] = {&a->cert_pem, &a->key_pem};
    for (int i = 0; i < 2; i++) {
        str copy;
        int rc = tls_vault_bytes(t->vault, names[i], i == 1, &copy, why, sizeof why);
        if (rc < 0) {
            log_error("cannot load certificate%s \"%.*s\": %s", i ? " key" : "", STR_ARG(names[i]), why);
            return rc;
        }
        *bytes[i] = pool_dup(&r->pool, copy);
        free((void *)(uintptr_t)copy.p);
    }
    return 0;
}

/* Files that are kept may have been changed one after the other: a pair that does not fit is read anew, once. */
static tls_client *make(const struct upstream_tls *t, req *r, str cert, str key, struct tls_client_args *a)
{
    char why[WHY_MAX] = "";
    for (int tries = 0; tries < 2; tries++) {
        if (load(t, r, cert, key, a) < 0) {
            return NULL;
        }
        tls_client *made = tls_client_new(a, why, sizeof why);
        if (made) {
            return made;
        }
        tls_vault_forget(t->vault, cert, key);
    }
    log_error("cannot load certificate \"%.*s\": %s", STR_ARG(cert), why);
    return NULL;
}

tls_client *upstream_tls_context(const struct upstream_tls *t, req *r)
{
    if (t->fixed) {
        return t->fixed;
    }
    struct tls_client_args a = args_of(t->c);
    a.alpn_h2 = t->h2;
    str cert = tmpl_eval(t->cert, r);
    char why[WHY_MAX];
    tls_client *made = cert.n ? make(t, r, cert, t->key ? tmpl_eval(t->key, r) : STR_EMPTY, &a) : tls_client_new(&a, why, sizeof why);
    if (made) {
        pool_on_fini(&r->pool, on_fini, made);
    }
    return made;
}

str upstream_tls_name(const struct upstream_tls *t, req *r)
{
    str name = t->name ? tmpl_eval(t->name, r) : r->host;
    if (name.n && name.p[0] == '[') {
        size_t end = str_find(name, ']', 0);
        return str_of(name.p + 1, (end < name.n ? end : name.n) - 1);
    }
    return str_of(name.p, str_find(name, ':', 0));
}

bool upstream_tls_resumes(const struct upstream_tls *t)
{
    return t->c->session_reuse;
}
