/* guard.c — compiles the guard of a route, and what a request remembers of it. */
#include "flow/guard.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/realip.h"
#include "flow/tmpl.h"
#include "flow/users.h"
#include "flow/uservar.h"
#include "flow/var_impl.h"

#include <stdio.h>

static int complain(const struct guard_args *a, const char *what, str given, const char *why)
{
    snprintf(a->err, a->errcap, "%.*s: %s \"%.*s\": %s", STR_ARG(a->rt->c->label), what,
             STR_ARG(given), why);
    return ERR_CONF;
}

static int compile_text(const struct guard_args *a, const char *what, str text, tmpl **out)
{
    char why[200];
    *out = tmpl_compile_for(text, a->rt, a->pool, why, sizeof why);
    return *out ? 0 : complain(a, what, text, why);
}

/* Rates and connections apart, each in the order given. */
static int compile_limits(const struct guard_args *a, guard *g)
{
    const struct conf_limits *c = &a->c->limits;
    size_t room = sizeof(limit_rule) * (size_t)(c->n ? c->n : 1);
    g->rates = pool_zalloc(a->pool, room);
    g->conns = pool_zalloc(a->pool, room);
    for (int i = 0; i < c->n; i++) {
        const struct conf_limit *l = &c->v[i];
        limit_rule *to = l->kind == CONF_ZONE_RATE ? &g->rates[g->nrates++] : &g->conns[g->nconns++];
        *to = (limit_rule){.c = l, .zone = &a->zones[l->zone]};
        to->emission_us = INT64_C(1000000000) / l->rate;
        if (compile_text(a, "key of a limit", l->key, &to->key) < 0) {
            return ERR_CONF;
        }
    }
    return 0;
}

static int compile_rules(const struct guard_args *a, guard *g)
{
    const struct conf_rules *c = &a->c->rules;
    g->rules = pool_zalloc(a->pool, sizeof *g->rules * (size_t)(c->n ? c->n : 1));
    g->nrules = c->n;
    for (int i = 0; i < c->n; i++) {
        access_rule *to = &g->rules[i];
        to->allow = c->v[i].allow;
        to->all = str_eq(c->v[i].from, STR("all"));
        if (!to->all && cidr_parse(c->v[i].from, &to->from) < 0) {
            return complain(a, "rule", c->v[i].from, "not a network such as 10.0.0.0/8");
        }
    }
    return 0;
}

static int compile_users(const struct guard_args *a, guard *g)
{
    if (!a->c->realm.p) {
        return 0;
    }
    if (a->c->users.p) {
        g->users = users_of(a->pool, a->c->users);
    }
    if (a->c->users_file.p && compile_text(a, "password file", a->c->users_file, &g->users_file) < 0) {
        return ERR_CONF;
    }
    return compile_text(a, "realm", a->c->realm, &g->realm);
}

static int compile_sets(const struct guard_args *a, guard *g)
{
    const struct conf_assigns *c = &a->c->ask_sets;
    g->sets = pool_zalloc(a->pool, sizeof *g->sets * (size_t)(c->n ? c->n : 1));
    for (int i = 0; i < c->n; i++) {
        guard_set *to = &g->sets[g->nsets++];
        to->index = uservar_index_now(c->v[i].name);
        if (to->index < 0) {
            return complain(a, "variable", c->v[i].name, "it is not declared");
        }
        if (compile_text(a, "value", c->v[i].value.p ? c->v[i].value : STR_EMPTY, &to->value) < 0) {
            return ERR_CONF;
        }
    }
    return 0;
}

static int compile_trust(const struct guard_args *a, guard *g)
{
    struct trust_args t = {&a->c->trust, a->c->trust_header, a->c->trust_recursive};
    str bad;
    bool ok = !a->c->trust.n || trust_new(&t, a->pool, &g->trust, &bad) == 0;
    return ok ? 0 : complain(a, "trust", bad, "not a network such as 10.0.0.0/8, nor a host that is known");
}

int guard_compile(const struct guard_args *a, guard **out)
{
    guard *g = pool_zalloc(a->pool, sizeof *g);
    g->c = a->c;
    int rc = compile_limits(a, g);
    rc = rc ? rc : compile_rules(a, g);
    rc = rc ? rc : compile_users(a, g);
    rc = rc ? rc : compile_sets(a, g);
    rc = rc ? rc : compile_trust(a, g);
    g->has_access = g->nrules > 0 || g->realm || a->c->ask.n;
    *out = g;
    return rc;
}

int guard_site(site *s, pool *p, char *err, size_t errcap)
{
    const struct conf_site *c = s->c;
    struct trust_args a = {&c->trust, c->trust_header, c->trust_recursive};
    str bad;
    if (c->trust.n && trust_new(&a, p, &s->trust, &bad) < 0) {
        snprintf(err, errcap, "%.*s: trust: \"%.*s\" is not a network such as 10.0.0.0/8, nor a host that is known", STR_ARG(c->label),
                 STR_ARG(bad));
        return ERR_CONF;
    }
    return 0;
}

void guard_know_client(req *r)
{
    if (r->route->guard->trust) {
        realip_apply_late(r, r->route->guard->trust);
    }
}

struct guard_state *guard_of(req *r)
{
    if (!r->guard) {
        r->guard = pool_zalloc(&r->pool, sizeof *r->guard);
    }
    return r->guard;
}

static str status_text(unsigned status)
{
    static const char *const names[] = {"",         "PASSED",          "DELAYED",
                                        "REJECTED", "DELAYED_DRY_RUN", "REJECTED_DRY_RUN"};
    return status ? str_c(names[status]) : VAR_ABSENT;
}

str var_get_limit_req_status(req *r, str arg)
{
    (void)arg;
    return status_text(r->guard ? r->guard->rate_status : 0);
}

str var_get_limit_conn_status(req *r, str arg)
{
    (void)arg;
    return status_text(r->guard ? r->guard->conn_status : 0);
}
