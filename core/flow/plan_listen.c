/* plan_listen.c — see plan_listen.h. */
#include "flow/plan_listen.h"

#include "base/err.h"
#include "base/hash.h"
#include "conf/conf.h"
#include "flow/handshake.h"
#include "flow/hosts.h"
#include "flow/plan.h"
#include "flow/stapling.h"
#include "tls/policy.h"

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
        struct tls_cert_args a = {.cert_pem = cert->cert_pem, .key_pem = cert->key_pem,
                                  .cert_name = label_or(cert->cert_file, "certificate"),
                                  .key_name = label_or(cert->key_file, "key")};
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

/* ---- sites with TLS settings of their own */

static int add_own_certs(struct listening *m, tls_server *t, const struct conf_site *c)
{
    const struct conf_tlspolicy *own = &c->tls_policy.v[0];
    for (int i = c->certs.n - 1; i >= 0; i--) { /* of a key type the last one counts */
        const struct conf_cert *cert = &c->certs.v[i];
        struct tls_cert_args a = {.cert_pem = cert->cert_pem, .key_pem = cert->key_pem,
                                  .cert_name = label_or(cert->cert_file, "certificate"), .key_name = label_or(cert->key_file, "key"),
                                  .passwords = own->passwords.v, .npasswords = own->passwords.n};
        char why[300];
        if (tls_server_add(t, &a, NULL, 0, why, sizeof why) < 0) {
            snprintf(m->err, m->cap, "%s: %s", label_or(c->label, "site"), why);
            return ERR_CONF;
        }
    }
    return 0;
}

/* Sessions go from one site to another only when they have the same certificates and ask for clients' in the same way. */
static const char *session_context(struct listening *m, const struct conf_site *c)
{
    const struct conf_tlspolicy *own = &c->tls_policy.v[0];
    uint64_t h = hash_keyed(own->client_ca_pem.p ? own->client_ca_pem : STR_EMPTY, (uint64_t)own->verify, 0);
    for (int i = 0; i < c->certs.n; i++) {
        const struct conf_cert *cert = &c->certs.v[i];
        h = hash_keyed(cert->cert_pem.p ? cert->cert_pem : cert->cert_name, h, 0);
    }
    bool shared = own->cache_name.n > 0;
    return pool_printf(&m->p->pool, "%s %s %016llx", shared ? "cache" : "site", shared ? own->cache_name.p : label_or(c->label, ""),
                       (unsigned long long)h).p;
}

static int use_certs(struct listening *m, const plan_listen *l, const site *s, tls_server *t)
{
    if (!handshake_chooses(s->c)) {
        return add_own_certs(m, t, s->c);
    }
    char why[300];
    void *chosen = handshake_new(m->p, l, s, why, sizeof why);
    if (!chosen) {
        snprintf(m->err, m->cap, "%s: certificate: %s", label_or(s->c->label, "site"), why);
        return ERR_CONF;
    }
    tls_server_certify(t, handshake_certify, chosen);
    return 0;
}

static tls_server *own_server(struct listening *m, const plan_listen *l, const site *s)
{
    const struct conf_site *c = s->c;
    const struct conf_tlspolicy *own = &c->tls_policy.v[0];
    struct tls_server_args a = {
        .protocols = label_or(own->protocols, "TLSv1.2 TLSv1.3"),
        .ciphers = own->ciphers.n ? own->ciphers.p : NULL,
        .groups = own->groups.n ? own->groups.p : NULL,
        .alpn_h2 = l->c->http2 && c->http2,
        .tickets = own->tickets,
        .id_context = session_context(m, c),
    };
    struct tls_policy p = {
        .verify = own->verify, .depth = (int)own->depth, .client_ca_pem = own->client_ca_pem, .trusted_pem = own->trusted_pem,
        .crl_pem = own->crl_pem, .dhparam_pem = own->dhparam_pem, .prefer_server = own->prefer_server, .reject = own->reject,
        .cache = own->cache >= CONF_TLS_CACHE_BUILTIN, .session_s = own->session_timeout / 1000,
        .commands = own->commands.v, .ncommands = own->commands.n,
        .ticket_keys = own->ticket_keys.v, .nticket_keys = own->ticket_keys.n,
    };
    char why[300];
    tls_server *t = tls_server_new(&a, why, sizeof why);
    if (t) {
        pool_on_fini(&m->p->pool, tls_cleanup, t);
    }
    if (!t || tls_policy_use(t, &p, why, sizeof why) < 0) {
        snprintf(m->err, m->cap, "%s: %s", label_or(c->label, "site"), why);
        return NULL;
    }
    if (use_certs(m, l, s, t) < 0) {
        return NULL;
    }
    if (tls_policy_commands(t, &p, why, sizeof why) < 0) {
        snprintf(m->err, m->cap, "%s: %s", label_or(c->label, "site"), why);
        return NULL;
    }
    if (own->staple && !handshake_chooses(c)) {
        stapling_use(m->p, s, t);
    }
    return t;
}

/* The connection holds the plan while its handshake is under way. */
static tls_server *choose_site(void *arg, str name)
{
    plan_listen *l = arg;
    pool scratch; /* for the captures of names that are regexes, which nobody reads here */
    pool_init(&scratch, 256);
    struct host_match *match = NULL;
    const site *s = hosts_find(l->hosts, name, &scratch, &match);
    tls_server *t = NULL;
    for (int i = 0; i < l->c->sites.n && s; i++) {
        if (s->index == l->c->sites.v[i]) {
            t = l->site_tls[i];
        }
    }
    pool_fini(&scratch);
    return t;
}

static bool has_own_tls(const struct listening *m, const plan_listen *l)
{
    for (int i = 0; i < l->c->sites.n; i++) {
        if (m->p->sites[l->c->sites.v[i]].c->tls_policy.n) {
            return true;
        }
    }
    return false;
}

static int compile_own_tls(struct listening *m, plan_listen *l)
{
    int n = l->c->sites.n;
    l->site_tls = pool_zalloc(&m->p->pool, sizeof(tls_server *) * (size_t)n);
    for (int i = 0; i < n; i++) {
        site *s = &m->p->sites[l->c->sites.v[i]];
        const struct conf_tlspolicy *own = s->c->tls_policy.n ? &s->c->tls_policy.v[0] : NULL;
        if (!own || (!s->c->certs.n && !own->reject)) {
            continue;
        }
        l->site_tls[i] = own_server(m, l, s);
        if (!l->site_tls[i]) {
            return ERR_CONF;
        }
        if (s == l->def || (!l->def && !l->tls)) { /* for clients without a known name: the default site's, else the first */
            l->tls = l->site_tls[i];
        }
    }
    if (!l->tls) {
        snprintf(m->err, m->cap, "no \"ssl_certificate\" is defined for the \"listen %.*s ssl\" directive of the default server",
                 STR_ARG(l->c->address));
        return ERR_CONF;
    }
    tls_server_choose(l->tls, choose_site, l);
    return 0;
}

static bool has_certs(const struct listening *m, const plan_listen *l)
{
    bool any = false;
    for (int i = 0; i < l->c->sites.n; i++) {
        any |= m->p->sites[l->c->sites.v[i]].c->certs.n > 0;
    }
    return any;
}

static int compile_tls(struct listening *m, plan_listen *l)
{
    if (has_own_tls(m, l)) {
        return compile_own_tls(m, l);
    }
    const struct conf_listen *c = l->c;
    struct tls_server_args a = {
        .protocols = label_or(c->tls_protocols, "TLSv1.2 TLSv1.3"),
        .ciphers = c->tls_ciphers.n ? c->tls_ciphers.p : NULL,
        .alpn_h2 = c->http2,
        .tickets = true,
    };
    if (!has_certs(m, l)) {
        snprintf(m->err, m->cap, "listener %.*s: tls, but no site on it has a certificate", STR_ARG(c->address));
        return ERR_CONF;
    }
    a.id_context = pool_printf(&m->p->pool, "%.*s", STR_ARG(c->address)).p;
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
