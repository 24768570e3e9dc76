/* plan.c — compiles a configuration for the data path: sites by host, route tables, templates,
 * header operations, TLS contexts. Everything a request needs is a pointer or an index afterwards.
 * Mistakes are told with the place of the definition. */
#include "flow/plan.h"

#include "back/group.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/forward.h"
#include "flow/guard.h"
#include "flow/plan_listen.h"
#include "flow/plan_logs.h"
#include "flow/route.h"
#include "flow/route_nginx.h"
#include "flow/settings.h"
#include "flow/tmpl.h"
#include "flow/uservar.h"
#include "flow/zones.h"
#include "http/headers.h"
#include "http/method.h"
#include "net/addr.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLAN_BLOCK = 32768 };

/* What compiling carries along. */
struct making {
    plan *p;
    tmpl **hash_keys, **tls_names; /* of the upstreams */
    const route *rt;               /* whose templates are compiled; NULL: no route's */
    char *err;
    size_t cap;
};

static const char *label_or(str label, const char *otherwise)
{
    return label.n ? label.p : otherwise;
}

/* "" and absent: no template. */
static int compile(struct making *m, str text, const char *label, const char *what, tmpl **out)
{
    *out = NULL;
    if (!text.p) {
        return 0;
    }
    char why[200];
    *out = tmpl_compile_for(text, m->rt, &m->p->pool, why, sizeof why);
    if (!*out) {
        snprintf(m->err, m->cap, "%s: %s: %s", label, what, why);
        return ERR_CONF;
    }
    return 0;
}

static int compile_op(struct making *m, const struct conf_headerop *c, const char *label,
                      headerop *out)
{
    *out = (headerop){.op = (uint8_t)c->op, .always = c->always, .name = c->name};
    out->token = (uint16_t)token_find(c->name);
    if (!headers_name_is_ok(c->name)) {
        snprintf(m->err, m->cap, "%s: \"%.*s\" is not a field name", label, STR_ARG(c->name));
        return ERR_CONF;
    }
    if (c->op == CONF_HEADER_REMOVE) {
        return 0;
    }
    char what[96];
    snprintf(what, sizeof what, "field %.*s", STR_ARG(c->name));
    int rc = compile(m, c->value.p ? c->value : STR_EMPTY, label, what, &out->value);
    if (rc == 0 && tmpl_is_constant(out->value)) {
        str v = tmpl_constant(out->value);
        if (!headers_value_is_ok(v)) {
            snprintf(m->err, m->cap,
                     "%s: %s: line breaks and control characters may not stand in a value", label,
                     what);
            return ERR_CONF;
        }
        if (v.n) {
            out->prefix = pool_printf(&m->p->pool, "%.*s: %.*s\r\n", STR_ARG(c->name), STR_ARG(v));
        }
    }
    return rc;
}

static int compile_ops(struct making *m, const struct conf_headerops *c, const char *label,
                       headerop **out, int *n)
{
    *out = pool_zalloc(&m->p->pool, sizeof **out * (size_t)(c->n ? c->n : 1));
    *n = c->n;
    for (int i = 0; i < c->n; i++) {
        if (compile_op(m, &c->v[i], label, &(*out)[i]) < 0) {
            return ERR_CONF;
        }
    }
    return 0;
}

/* What an upstream says to its proxy, or about itself, stays here unless the route shows it. */
static void compile_hidden(const struct conf_route *c, route *rt)
{
    static const enum token usual[] = {TOKEN_SERVER, TOKEN_DATE, TOKEN_X_ACCEL_BUFFERING, TOKEN_X_ACCEL_EXPIRES,
                                       TOKEN_X_ACCEL_REDIRECT, TOKEN_X_ACCEL_LIMIT_RATE, TOKEN_X_ACCEL_CHARSET};
    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        rt->hide[usual[i] >> 6] |= 1ull << (usual[i] & 63);
    }
    const struct conf_strs *show = c->exchange.n ? &c->exchange.v[0].show_headers : NULL;
    for (int i = 0; show && i < show->n; i++) {
        unsigned t = token_find(show->v[i]);
        rt->hide[t >> 6] &= ~(1ull << (t & 63));
    }
    for (int i = 0; i < c->hide_headers.n; i++) {
        unsigned t = token_find(c->hide_headers.v[i]);
        rt->hide[t >> 6] |= 1ull << (t & 63);
    }
    rt->hide[0] &= ~1ull; /* TOKEN_NONE: by name */
    for (unsigned t = 0; t < TOKEN_COUNT; t++) {
        rt->doubt[t] = t == TOKEN_CONTENT_LENGTH || (rt->hide[t >> 6] >> (t & 63) & 1);
    }
}

static void init_route(struct making *m, site *s, const struct conf_route *c, route *rt)
{
    *rt = (route){.c = c, .site = s, .hooks = (uint32_t)c->hooks, .hook_id = (int)c->hook_id};
    rt->hooks |= c->after.n ? ROUTE_FOLLOWED : 0;
    rt->index = m->p->nroutes++;
    plan_logs_route(m->p, rt);
    compile_hidden(c, rt);
    if (c->action == CONF_ACTION_PROXY && c->upstream >= 0) {
        rt->hash_key = m->hash_keys[c->upstream];
        rt->tls_name = m->tls_names[c->upstream];
    }
}

static void compile_times(const struct conf_route *c, struct conn_times *t)
{
    t->send_ms = (uint32_t)c->client_send_timeout;
    t->idle_ms = c->idle_timeout >= 0 ? (uint32_t)c->idle_timeout : CONN_TIMES_LISTENER;
    t->linger_ms = c->lingering == CONF_LINGERING_OFF ? 0 : (uint32_t)c->linger_timeout;
    t->linger_all_ms = (uint32_t)c->linger_time;
    t->linger_always = c->lingering == CONF_LINGERING_ALWAYS;
    t->reset_late = c->reset_late;
}

/* After the site's table was made: templates may name captures and parameters of the pattern. */
static int compile_route(struct making *m, route *rt)
{
    const struct conf_route *c = rt->c;
    const char *label = label_or(c->label, "route");
    m->rt = rt;
    int rc = compile(m, c->host_header, label, "host", &rt->host);
    if (c->reply_plain) {
        rt->reply_body = tmpl_plain(c->reply_body, &m->p->pool);
    } else {
        rc = rc ? rc : compile(m, c->reply_body, label, "reply body", &rt->reply_body);
    }
    rc = rc ? rc : compile(m, c->reply_location, label, "redirect", &rt->reply_location);
    rc = rc ? rc : compile(m, c->rate, label, "rate", &rt->rate);
    rc = rc ? rc : compile(m, c->rate_after, label, "rate_after", &rt->rate_after);
    rc = rc ? rc : compile(m, c->upstream_rate, label, "upstream_rate", &rt->upstream_rate);
    rc = rc ? rc : compile_ops(m, &c->request_headers, label, &rt->request_ops, &rt->nrequest_ops);
    rc = rc ? rc
            : compile_ops(m, &c->response_headers, label, &rt->response_ops, &rt->nresponse_ops);
    rc = rc ? rc : compile_ops(m, &c->response_trailers, label, &rt->trailer_ops, &rt->ntrailer_ops);
    m->rt = NULL;
    forward_compile(rt);
    compile_times(c, &rt->times);
    rt->picky = c->idle_timeout == 0 || c->connection_time || c->no_keep_safari || c->no_keep_msie6;
    const struct settings_args s = {m->p, m->err, m->cap};
    return rc ? rc : settings_compile(&s, rt);
}

/* Which methods a route keeps, and who takes the others. */
static int compile_except(struct making *m, const site *s, route *rt)
{
    if (rt->c->except < 0) {
        return 0;
    }
    if (rt->c->except >= s->c->routes.n) {
        snprintf(m->err, m->cap, "%s: except: no such route", label_or(rt->c->label, "route"));
        return ERR_CONF;
    }
    rt->except = &s->routes[rt->c->except];
    for (int i = 0; i < rt->c->except_methods.n; i++) {
        enum method one = method_find(rt->c->except_methods.v[i]);
        rt->except_methods |= 1u << one;
        rt->except_methods |= one == METHOD_GET ? 1u << METHOD_HEAD : 0;
    }
    return 0;
}

static int compile_site(struct making *m, const struct conf_site *c, site *s)
{
    pool *p = &m->p->pool;
    *s = (site){.c = c, .index = (int)(s - m->p->sites)};
    s->asks_cert = c->tls_policy.n && c->tls_policy.v[0].verify != 0;
    s->routes = pool_zalloc(p, sizeof *s->routes * (size_t)(c->routes.n ? c->routes.n : 1));
    if (guard_site(s, p, m->err, m->cap) < 0) {
        return ERR_CONF;
    }
    for (int i = 0; i < c->routes.n; i++) {
        init_route(m, s, &c->routes.v[i], &s->routes[i]);
    }
    if (c->fallback >= c->routes.n) {
        snprintf(m->err, m->cap, "%s: fallback: no such route", label_or(c->label, "site"));
        return ERR_CONF;
    }
    s->fallback = c->fallback >= 0 ? &s->routes[c->fallback] : NULL;
    if (c->match == CONF_SITE_MATCH_NGINX) {
        s->nested = route_nginx_new(s->routes, c->routes.n, p, m->err, m->cap);
    } else {
        s->table = route_table_new(s->routes, c->routes.n, p, m->err, m->cap);
    }
    bool ok = s->nested || s->table;
    for (int i = 0; ok && i < c->routes.n; i++) {
        if (compile_route(m, &s->routes[i]) < 0 || compile_except(m, s, &s->routes[i]) < 0) {
            return ERR_CONF;
        }
    }
    return ok ? 0 : ERR_CONF;
}

static int compile_upstreams(struct making *m)
{
    const struct conf_upstreams *c = &m->p->conf->g.upstreams;
    size_t n = (size_t)(c->n ? c->n : 1);
    m->hash_keys = pool_zalloc(&m->p->pool, sizeof *m->hash_keys * n);
    m->tls_names = pool_zalloc(&m->p->pool, sizeof *m->tls_names * n);
    m->p->groups = pool_zalloc(&m->p->pool, sizeof *m->p->groups * n);
    m->p->names = pool_zalloc(&m->p->pool, sizeof *m->p->names * ((size_t)m->p->conf->g.resolvers.n + 1));
    m->p->hash_keys = m->hash_keys;
    for (int i = 0; i < c->n; i++) {
        const char *label = label_or(c->v[i].label, "upstream");
        if (compile(m, c->v[i].hash_key, label, "hash key", &m->hash_keys[i]) < 0 ||
            compile(m, c->v[i].tls_name, label, "tls name", &m->tls_names[i]) < 0) {
            return ERR_CONF;
        }
        if (c->v[i].balance == CONF_BALANCE_HASH && !m->hash_keys[i]) {
            snprintf(m->err, m->cap, "%s: balance by hash needs a key such as \"$remote_addr\"",
                     label);
            return ERR_CONF;
        }
    }
    return 0;
}

/* ---- life */

static int compile_all(struct making *m)
{
    plan *p = m->p;
    const struct conf_gateway *g = &p->conf->g;
    p->sites = pool_zalloc(&p->pool, sizeof *p->sites * (size_t)(g->sites.n ? g->sites.n : 1));
    p->listens =
        pool_zalloc(&p->pool, sizeof *p->listens * (size_t)(g->listens.n ? g->listens.n : 1));
    p->zones = pool_zalloc(&p->pool, sizeof *p->zones * (size_t)(g->zones.n ? g->zones.n : 1));
    for (int i = 0; i < g->zones.n; i++) {
        p->zones[i].c = &g->zones.v[i];
    }
    const struct settings_args a = {p, m->err, m->cap};
    settings_compile_shared(&a);
    int rc = compile_upstreams(m);
    for (int i = 0; rc == 0 && i < g->sites.n; i++) {
        rc = compile_site(m, &g->sites.v[i], &p->sites[i]);
    }
    for (int i = 0; rc == 0 && i < g->listens.n; i++) {
        rc = plan_listen_compile(p, &g->listens.v[i], &p->listens[i], m->err, m->cap);
    }
    rc = rc ? rc : plan_logs_check(p, m->err, m->cap);
    return rc;
}

plan *plan_new(conf *c, uint64_t generation, char *err, size_t errcap)
{
    token_setup();
    plan *p = calloc(1, sizeof *p);
    if (!p) {
        snprintf(err, errcap, "out of memory");
        return NULL;
    }
    pool_init(&p->pool, PLAN_BLOCK);
    p->conf = c;
    p->refs = 1;
    p->generation = generation;
    struct making m = {.p = p, .err = err, .cap = errcap};
    p->vars = uservars_new(&c->g.vars, &p->pool, err, errcap);
    const uservars *before = uservars_name(p->vars);
    int rc = p->vars ? compile_all(&m) : ERR_CONF;
    uservars_name(before);
    if (rc < 0) {
        pool_fini(&p->pool);
        free(p);
        return NULL;
    }
    return p;
}

/* What a plan has of its worker. */
struct bound {
    group **groups;
    nameserver **names;
    struct access_log **logs;
};

static void release(const plan *p, const struct bound *b)
{
    group **groups = b->groups;
    for (int i = 0; i < p->conf->g.resolvers.n; i++) {
        nameserver_unref(b->names[i]);
        b->names[i] = NULL;
    }
    for (int i = 0; i < p->conf->g.upstreams.n; i++) {
        if (groups[i]) {
            group_unref(groups[i]);
            groups[i] = NULL;
        }
    }
    plan_logs_close(p, b->logs);
}

static void detach(plan *p)
{
    release(p, &(struct bound){p->groups, p->names, p->logs});
}

/* Attached before (a rollback): the references of then, to be released once the new ones are there.
 * They live in the pool: a few pointers per rollback. */
static void set_aside(plan *p, struct bound *old)
{
    size_t ngroups = (size_t)p->conf->g.upstreams.n, nlogs = (size_t)p->conf->g.logs.n;
    size_t nnames = (size_t)p->conf->g.resolvers.n;
    old->groups = p->groups;
    old->names = p->names;
    old->logs = p->logs;
    p->groups = pool_zalloc(&p->pool, (ngroups + 1) * sizeof *p->groups);
    p->names = pool_zalloc(&p->pool, (nnames + 1) * sizeof *p->names);
    p->logs = pool_zalloc(&p->pool, (nlogs + 1) * sizeof *p->logs);
}

static int open_names(plan *p, group_set *s, char *err, size_t errcap)
{
    for (int i = 0; i < p->conf->g.resolvers.n; i++) {
        const struct conf_resolver *c = &p->conf->g.resolvers.v[i];
        p->names[i] = nameserver_get(s, c);
        if (!p->names[i]) {
            snprintf(err, errcap, "resolver: \"%.*s\" are no addresses of DNS servers",
                     STR_ARG(c->servers));
            return ERR_CONF;
        }
    }
    return 0;
}

static int bind_zones(plan *p, char *err, size_t errcap)
{
    for (int i = 0; i < p->conf->g.zones.n; i++) {
        if (zone_bind(&p->zones[i]) < 0) {
            snprintf(err, errcap, "there is no shared memory for zone \"%.*s\"",
                     STR_ARG(p->zones[i].c->name));
            return ERR_CONF;
        }
    }
    return 0;
}

/* Between route and pick only hooks and answers of our own would have a say: without them the rows in between are not run. */
static bool goes_straight_up(const route *rt)
{
    enum { BEFORE = 1u << PHASE_REWRITE | 1u << PHASE_ACCESS };
    return rt->group && !rt->guard && !rt->rewrites && !(rt->hooks & BEFORE) && (!rt->c->slash_redirect || rt->site->nested) && !rt->c->try_files.n;
}

int plan_attach(plan *p, group_set *groups, char *err, size_t errcap)
{
    struct bound old;
    set_aside(p, &old);
    /* logs first: what can fail must not have touched the running groups */
    const uservars *before = uservars_name(p->vars); /* lines of logs are templates */
    int rc = bind_zones(p, err, errcap);
    rc = rc ? rc : plan_logs_open(p, group_set_loop(groups), err, errcap);
    rc = rc ? rc : open_names(p, groups, err, errcap);
    uservars_name(before);
    rc = rc ? rc : group_set_apply(groups, p->conf, p->groups, err, errcap);
    release(p, &old);
    if (rc < 0) {
        detach(p);
        return rc;
    }
    for (int i = 0; i < p->conf->g.sites.n; i++) {
        site *s = &p->sites[i];
        for (int k = 0; k < s->c->routes.n; k++) {
            const struct conf_route *c = s->routes[k].c;
            s->routes[k].group = c->action == CONF_ACTION_PROXY ? p->groups[c->upstream] : NULL;
            s->routes[k].names = c->resolver >= 0 ? p->names[c->resolver] : NULL;
            s->routes[k].straight = goes_straight_up(&s->routes[k]);
            plan_logs_bind(p, &s->routes[k]);
        }
    }
    return 0;
}

tmpl *plan_hash_key(const plan *p, const group *g)
{
    for (int i = 0; i < p->conf->g.upstreams.n; i++) {
        if (p->groups[i] == g || p->groups[i] == g->twin) {
            return p->hash_keys[i];
        }
    }
    return NULL;
}

plan *plan_ref(plan *p)
{
    p->refs++;
    return p;
}

void plan_unref(plan *p)
{
    if (!p || --p->refs) {
        return;
    }
    detach(p);
    void (*on_free)(void *) = p->on_free;
    void *owner = p->owner;
    pool_fini(&p->pool);
    free(p);
    if (on_free) {
        on_free(owner); /* last: it frees the conf that everything pointed into */
    }
}
