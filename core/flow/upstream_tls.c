/* upstream_tls.c — see upstream_tls.h. Certificates that requests choose are read when a connection is needed, as the files are then: they may be
 * changed without a reload. */
#include "flow/upstream_tls.h"

#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/tmpl.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20, WHY_MAX = 300 };

struct upstream_tls {
    const struct conf_tlsclient *c;
    tls_client *fixed; /* NULL: requests choose */
    bool h2;           /* offered */
    tmpl *name, *cert, *key;
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
    return t;
}

/* ---- files */

static str read_pem(req *r, str path)
{
    char *name = pool_cstr(&r->pool, path);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    char *buf = fd >= 0 ? pool_try_alloc(&r->pool, PEM_MAX, 8 * PEM_MAX) : NULL;
    ssize_t total = 0, n = 1;
    while (buf && n > 0 && total < PEM_MAX) {
        n = read(fd, buf + total, (size_t)(PEM_MAX - total));
        total += n > 0 ? n : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!buf || n < 0 || total == PEM_MAX) {
        log_error("cannot load certificate \"%s\"", name);
        return (str){NULL, 0};
    }
    return str_of(buf, (size_t)total);
}

/* "data:PEM" or a file's name. */
static str load(req *r, str folder, str text)
{
    if (text.n && text.p[0] != '/' && folder.n && !str_has_prefix(text, STR("data:"))) {
        str parts[2] = {folder, text};
        text = pool_join(&r->pool, parts, 2);
    }
    return str_has_prefix(text, STR("data:")) ? str_from(text, 5) : read_pem(r, text);
}

tls_client *upstream_tls_context(const struct upstream_tls *t, req *r)
{
    if (t->fixed) {
        return t->fixed;
    }
    struct tls_client_args a = args_of(t->c);
    a.alpn_h2 = t->h2;
    str cert = tmpl_eval(t->cert, r);
    if (cert.n) {
        a.cert_pem = load(r, t->c->folder, cert);
        a.key_pem = a.cert_pem.p && t->key ? load(r, t->c->folder, tmpl_eval(t->key, r)) : (str){NULL, 0};
        if (!a.cert_pem.p || !a.key_pem.p) {
            return NULL;
        }
    }
    char why[WHY_MAX];
    tls_client *made = tls_client_new(&a, why, sizeof why);
    if (!made) {
        log_error("cannot load certificate \"%.*s\": %s", STR_ARG(cert), why);
        return NULL;
    }
    pool_on_fini(&r->pool, on_fini, made);
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
