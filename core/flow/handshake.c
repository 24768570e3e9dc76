/* handshake.c — see handshake.h. The request is made for the variables alone: it has a client, a listener and a site, and never runs. */
#include "flow/handshake.h"

#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "flow/tmpl.h"
#include "net/stream.h"
#include "tls/vault.h"

#include <stdio.h>

enum { WHY_MAX = 1024 };

void (*handshake_introduce)(stream *s, req *r);

struct pair {
    tmpl *cert, *key;
};

struct chosen {
    plan *p;
    const plan_listen *l;
    const site *site;
    tls_vault *vault;
    struct pair *v;
    int n;
};

bool handshake_chooses(const struct conf_site *c)
{
    return c->certs.n > 0 && c->certs.v[0].cert_name.n > 0;
}

static void on_fini(void *arg)
{
    tls_vault_free(arg);
}

void *handshake_new(plan *p, const plan_listen *l, const site *s, char *err, size_t errcap)
{
    const struct conf_tlspolicy *own = &s->c->tls_policy.v[0];
    struct chosen *c = pool_zalloc(&p->pool, sizeof *c);
    *c = (struct chosen){.p = p, .l = l, .site = s, .n = s->c->certs.n};
    c->v = pool_zalloc(&p->pool, sizeof *c->v * (size_t)c->n);
    for (int i = 0; i < c->n; i++) {
        c->v[i].cert = tmpl_compile(s->c->certs.v[i].cert_name, &p->pool, err, errcap);
        c->v[i].key = c->v[i].cert ? tmpl_compile(s->c->certs.v[i].key_name, &p->pool, err, errcap) : NULL;
        if (!c->v[i].key) {
            return NULL;
        }
    }
    c->vault = tls_vault_new(&(struct tls_vault_args){
        .folder = own->folder, .max = own->kept, .inactive_ms = own->kept_unused, .valid_ms = own->kept_unseen,
        .passwords = own->passwords.v, .npasswords = own->passwords.n});
    pool_on_fini(&p->pool, on_fini, c->vault);
    return c;
}

static bool present(struct chosen *c, const struct pair *pair, req *r, stream *s)
{
    char why[WHY_MAX];
    str cert = tmpl_eval(pair->cert, r);
    if (!cert.n) {
        return true; /* none of this kind */
    }
    if (tls_vault_present(c->vault, s, cert, tmpl_eval(pair->key, r), why, sizeof why) < 0) {
        log_error("%s", why);
        return false;
    }
    return true;
}

bool handshake_certify(void *arg, stream *s)
{
    struct chosen *c = arg;
    static const struct proto_ops nothing = {.name = "handshake"}; /* a connection is there to be asked */
    req *r = req_new(s->l, c->p, c->l, &nothing, NULL);
    handshake_introduce(s, r);
    r->site = c->site;
    r->route = c->site->fallback;
    bool ok = true;
    for (int i = 0; i < c->n && ok; i++) {
        ok = present(c, &c->v[i], r, s);
    }
    req_free(r);
    return ok;
}
