/* plan_listen.c — see plan_listen.h. */
#include "flow/plan_listen.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/hosts.h"
#include "flow/plan.h"
#include "tls/ctx.h"

#include <stdio.h>

/* What compiling carries along. */
struct listening {
    plan *p;
    char *err;
    size_t cap;
};

static const char *label_or(str label, const char *otherwise)
{
    return label.n ? label.p : otherwise;
}

/* ---- hosts of a listener */

static int add_name(struct listening *m, plan_listen *l, site *s, str name)
{
    char why[256] = "";
    bool first_wins = s->c->match == CONF_SITE_MATCH_NGINX;
    site *taken = NULL;
    if (hosts_add(l->hosts, s, name, first_wins, &taken, why, sizeof why) == 0) {
        return 0;
    }
    if (!taken) {
        snprintf(m->err, m->cap, "%s: %s", label_or(s->c->label, "site"), why);
    } else {
        snprintf(m->err, m->cap, "%s: host \"%.*s\" is taken on %.*s by the site at %s",
                 label_or(s->c->label, "site"), STR_ARG(name), STR_ARG(l->c->address),
                 label_or(taken->c->label, "another place"));
    }
    return ERR_CONF;
}

static int compile_hosts(struct listening *m, plan_listen *l)
{
    l->hosts = hosts_new(&m->p->pool);
    for (int i = 0; i < l->c->sites.n; i++) {
        site *s = &m->p->sites[l->c->sites.v[i]];
        for (int k = 0; k < s->c->names.n; k++) {
            if (add_name(m, l, s, s->c->names.v[k]) < 0) {
                return ERR_CONF;
            }
        }
    }
    l->def = l->c->default_site >= 0 ? &m->p->sites[l->c->default_site] : NULL;
    return 0;
}

/* ---- TLS of a listener */

static void tls_cleanup(void *arg)
{
    tls_server_unref(arg);
}

static int add_certs(struct listening *m, plan_listen *l, const struct conf_site *c)
{
    for (int i = 0; i < c->certs.n; i++) {
        const struct conf_cert *cert = &c->certs.v[i];
        struct tls_cert_args a = {cert->cert_pem, cert->key_pem,
                                  label_or(cert->cert_file, "certificate"),
                                  label_or(cert->key_file, "key")};
        char why[300];
        if (tls_server_add(l->tls, &a, c->names.v, c->names.n, why, sizeof why) < 0) {
            snprintf(m->err, m->cap, "%s: %s", label_or(c->label, "site"), why);
            return ERR_CONF;
        }
    }
    if (!c->http2 && c->certs.n) {
        tls_server_refuse_h2(l->tls, c->names.v, c->names.n);
    }
    return 0;
}

/* A connection is made before its site is known, and TLS sessions may move between hosts: so all
 * sites of a listener ask for client certificates in the same way or not at all. */
static int client_policy(struct listening *m, const plan_listen *l, struct tls_server_args *a)
{
    const struct conf_site *first = NULL;
    for (int i = 0; i < l->c->sites.n; i++) {
        const struct conf_site *c = m->p->sites[l->c->sites.v[i]].c;
        if (!c->certs.n) {
            continue;
        }
        if (!first) {
            first = c;
            a->verify_client = c->client_verify;
            a->client_ca_pem = c->client_ca_pem.p ? c->client_ca_pem : STR_EMPTY;
        } else if (c->client_verify != first->client_verify ||
                   !str_eq(c->client_ca_pem, first->client_ca_pem)) {
            snprintf(m->err, m->cap,
                     "%s: client certificates are asked for differently by the site at %s on the "
                     "same listener %.*s",
                     label_or(c->label, "site"), label_or(first->label, "another place"),
                     STR_ARG(l->c->address));
            return ERR_CONF;
        }
    }
    if (!first) {
        snprintf(m->err, m->cap, "listener %.*s: tls, but no site on it has a certificate",
                 STR_ARG(l->c->address));
        return ERR_CONF;
    }
    return 0;
}

static int compile_tls(struct listening *m, plan_listen *l)
{
    const struct conf_listen *c = l->c;
    struct tls_server_args a = {
        .protocols = label_or(c->tls_protocols, "TLSv1.2 TLSv1.3"),
        .ciphers = c->tls_ciphers.n ? c->tls_ciphers.p : NULL,
        .alpn_h2 = c->http2,
        .tickets = true,
    };
    if (client_policy(m, l, &a) < 0) {
        return ERR_CONF;
    }
    a.id_context =
        pool_printf(&m->p->pool, "%.*s verify=%d", STR_ARG(c->address), a.verify_client).p;
    l->tls = tls_server_new(&a, m->err, m->cap);
    if (!l->tls) {
        return ERR_CONF;
    }
    pool_on_fini(&m->p->pool, tls_cleanup, l->tls);
    /* the default site's certificate is the one for clients without a known name: it goes first */
    if (l->def && add_certs(m, l, l->def->c) < 0) {
        return ERR_CONF;
    }
    for (int i = 0; i < c->sites.n; i++) {
        const site *s = &m->p->sites[c->sites.v[i]];
        if (s != l->def && add_certs(m, l, s->c) < 0) {
            return ERR_CONF;
        }
    }
    return 0;
}

int plan_listen_compile(plan *p, const struct conf_listen *c, plan_listen *l, char *err, size_t errcap)
{
    struct listening m = {p, err, errcap};
    *l = (plan_listen){.c = c};
    const struct conf_listens *all = &p->conf->g.listens;
    for (int i = 0; i < all->n; i++) {
        l->shared |= all->v[i].under >= 0 && &all->v[all->v[i].under] == c;
    }
    int rc = compile_hosts(&m, l);
    return rc || !c->tls ? rc : compile_tls(&m, l);
}

site *plan_site(const plan_listen *l, str host, pool *p, struct host_match **match)
{
    site *s = hosts_find(l->hosts, host, p, match);
    return s ? s : l->def;
}
