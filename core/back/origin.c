/* origin.c — see origin.h. */
#include "back/origin.h"

#include "back/group_impl.h"
#include "back/health.h"
#include "back/peer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "net/resolve_service.h"
#include "shm/peers.h"

#include <stdlib.h>

enum { LOOKUP_MIN_MS = 1000, LOOKUP_RETRY_MAX_MS = 30000 };

static int within(int64_t v, int64_t lo, int64_t hi)
{
    return (int)(v < lo ? lo : v > hi ? hi : v);
}

/* Out of service, or in it again: by the configuration, unless somebody said otherwise at run time. */
static void apply_state(const origin *o, peer *p, enum change_state said)
{
    bool drain = said == CHANGE_DRAIN, before = p->down;
    p->down = drain || said == CHANGE_DOWN || (said == CHANGE_NONE && o->own.down);
    p->drained = drain;
    if (!before && p->down) {
        idle_pool_fini(&p->idle); /* whoever took it out may be about to end it */
    }
    if (before && !p->down) {
        health_recovered(p, clock_ms());
    }
}

/* Puts the configuration's numbers into a peer; its history stays. */
static void apply_to(const origin *o, peer *p)
{
    const struct conf_upstream *u = &p->g->own;
    struct peer_change said;
    group_change_of(p, &said);
    int64_t own = p->told_weight && o->own.weight == 1 ? p->told_weight : o->own.weight;
    int weight = within(said.weight ? said.weight : own, 1, 65535);
    if (weight != p->weight) {
        p->weight = p->effective = weight;
        p->current = 0;
    }
    if (weight != p->st->weight) {
        p->st->weight = p->st->effective = weight;
        p->st->current = 0;
    }
    p->max_conns = within(o->own.max_conns, 0, INT32_MAX);
    p->max_fails = within(o->own.fails >= 0 ? o->own.fails : u->passive_fails, 0, INT32_MAX);
    p->window_ms = o->own.window >= 0 ? o->own.window : u->passive_window;
    p->backup = o->own.backup || p->told_backup;
    apply_state(o, p, said.state);
    p->idle.max = (uint32_t)within(u->keepalive_idle, 0, INT32_MAX);
    p->idle.timeout_ms = u->keepalive_timeout;
    if (!p->max_fails) {
        passive_reset(p);
    }
}

/* One address that an origin stands for, and what an SRV record says of it. */
struct found {
    addr at;
    int weight; /* 0: nothing */
    bool backup;
};

/* A peer of that address that is not taken yet: several SRV records may name the same one. */
static peer *find_peer(const origin *o, const addr *at)
{
    LIST_EACH(it, &o->g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (p->origin == o && !p->found && addr_eq(&p->at, at)) {
            return p;
        }
    }
    return NULL;
}

static void forget_lost(const origin *o)
{
    LIST_EACH_SAFE(it, &o->g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (p->origin == o && !p->found) {
            peer_retire(p);
        }
    }
}

/* The peers of the origin become those of v: known ones stay as they are. Those that go make room first, for their places in shared memory. */
static void set_found(origin *o, const struct found *v, int n)
{
    peer *known[SERVICE_MAX_ADDRS] = {0};
    LIST_EACH(it, &o->g->peers)
    {
        list_item(it, peer, node)->found = false;
    }
    for (int i = 0; i < n; i++) {
        known[i] = find_peer(o, &v[i].at);
        if (known[i]) {
            known[i]->found = true;
        }
    }
    forget_lost(o);
    for (int i = 0; i < n; i++) {
        bool same = known[i] && known[i]->told_weight == v[i].weight && known[i]->told_backup == v[i].backup;
        peer *p = known[i] ? known[i] : peer_new(o, &v[i].at);
        p->told_weight = v[i].weight;
        p->told_backup = v[i].backup;
        if (!same) {
            apply_to(o, p);
        }
    }
    o->answered = n > 0;
    group_rebuild(o->g);
}

/* By nginx's rules an address that DNS says twice is two peers. */
static void set_addrs(origin *o, const addr *v, int n)
{
    struct found all[RESOLVE_MAX_ADDRS];
    bool once = o->g->own.passive != CONF_PASSIVE_NGINX;
    int count = 0;
    for (int i = 0; i < n; i++) {
        bool twice = false;
        for (int k = 0; k < count && once; k++) {
            twice |= addr_eq(&all[k].at, &v[i]);
        }
        if (!twice) {
            all[count++] = (struct found){.at = v[i]};
        }
    }
    set_found(o, all, count);
}

/* The best priority are the server's peers, the others their backups (RFC 2782); a server that is a backup itself has no others. */
static void set_services(origin *o, const service_answer *a)
{
    struct found all[SERVICE_MAX_ADDRS];
    int n = 0;
    for (int i = 0; i < a->n; i++) {
        bool best = a->v[i].priority == a->v[0].priority;
        if (best || !o->own.backup) {
            all[n++] = (struct found){a->v[i].at, a->v[i].weight, !best};
        }
    }
    set_found(o, all, n);
}

/* Made at run time: looked up when it is asked for, never by the clock. */
static bool is_on_demand(const origin *o)
{
    return o->g->like && !o->g->twin;
}

static void lookup_failed(origin *o, int err, bool none)
{
    group *g = o->g;
    g->awaits = false;
    if (is_on_demand(o) || (none && g->own.dns_empty)) {
        if (!is_on_demand(o) || g->npeers) {
            log_warn("upstream %.*s: %.*s has no addresses", STR_ARG(g->name), STR_ARG(o->host));
        }
        set_addrs(o, NULL, 0);
    } else if (o->retry_ms == LOOKUP_MIN_MS) { /* the first of a row */
        log_warn("upstream %.*s: %.*s: %s%s", STR_ARG(g->name), STR_ARG(o->host), err_text(err),
                 o->answered ? "; the last addresses stay" : "");
    }
    if (!is_on_demand(o)) {
        timer_set(group_set_loop(g->set), &o->timer, o->retry_ms);
    }
    o->retry_ms = o->retry_ms * 2 < LOOKUP_RETRY_MAX_MS ? o->retry_ms * 2 : LOOKUP_RETRY_MAX_MS;
    group_wake_waiters(g);
}

/* It has peers, which are good for so long. */
static void lookup_succeeded(origin *o, int64_t ttl_ms)
{
    o->g->awaits = false;
    o->retry_ms = LOOKUP_MIN_MS;
    o->fresh_ms = clock_ms() + ttl_ms;
    if (!is_on_demand(o)) {
        timer_set(group_set_loop(o->g->set), &o->timer, ttl_ms > LOOKUP_MIN_MS ? ttl_ms : LOOKUP_MIN_MS);
    }
    group_wake_waiters(o->g);
}

static void lookup_done(origin *o, int rc, resolve_answer *a)
{
    if (rc < 0 || a->n == 0) {
        lookup_failed(o, rc < 0 ? rc : ERR_RESOLVE, rc == ERR_RESOLVE && a->none);
        return;
    }
    for (int i = 0; i < a->n; i++) {
        addr_set_port(&a->v[i], o->port);
    }
    set_addrs(o, a->v, a->n);
    lookup_succeeded(o, a->ttl_ms);
}

static void services_done(origin *o)
{
    service_answer a;
    int rc = service_result(o->services, &a);
    if (rc == ERR_AGAIN) {
        return;
    }
    o->services = NULL;
    if (rc < 0) {
        lookup_failed(o, rc, rc == ERR_RESOLVE && a.none);
        return;
    }
    set_services(o, &a);
    lookup_succeeded(o, a.ttl_ms);
}

static void on_lookup(job *j)
{
    origin *o = container_of(j, origin, job);
    if (o->services) {
        services_done(o);
        return;
    }
    if (!o->query) {
        origin_start(o);
        return;
    }
    resolve_answer a;
    int rc = resolve_result(o->query, &a);
    if (rc != ERR_AGAIN) {
        o->query = NULL;
        lookup_done(o, rc, &a);
    }
}

static void on_ttl(timer *t)
{
    origin *o = container_of(t, origin, timer);
    job_wake(group_set_loop(o->g->set), &o->job);
}

bool origin_is_asking(const origin *o)
{
    return o->query || o->services;
}

void origin_start(origin *o)
{
    resolver *r = group_resolver(o->g);
    if (!o->host.n || origin_is_asking(o) || !r) {
        return;
    }
    if (o->own.service) {
        o->services = service_start(r, o->host, &o->job);
        return;
    }
    resolve_answer a = {.n = 0};
    int rc = resolve_cached(r, o->host, &a);
    if (rc == ERR_AGAIN) {
        o->query = resolve_start(r, o->host, &o->job);
        if (o->query) {
            return;
        }
        rc = ERR_RESOLVE;
    }
    lookup_done(o, rc, &a);
}

/* "name:port" or "name". */
static void split_name(origin *o, uint16_t default_port)
{
    str text = str_c(o->text);
    size_t colon = str_find(text, ':', 0);
    uint64_t port = default_port;
    o->host = str_of(text.p, colon);
    if (colon < text.n &&
        (str_to_u64(str_from(text, colon + 1), &port) < 0 || port == 0 || port > 65535)) {
        log_error("upstream %.*s: %s: not a port", STR_ARG(o->g->name), o->text);
        port = default_port;
    }
    o->port = (uint16_t)port;
}

origin *origin_new(group *g, const struct conf_peer *c, uint16_t default_port)
{
    origin *o = calloc(1, sizeof *o);
    REQUIRE(o != NULL);
    o->g = g;
    o->own = *c;
    o->retry_ms = LOOKUP_MIN_MS;
    o->text = strndup(c->address.p, c->address.n);
    REQUIRE(o->text != NULL);
    o->label = c->label.n ? strndup(c->label.p, c->label.n) : NULL;
    o->own.address = o->own.label = STR_EMPTY; /* they point into the configuration */
    job_init(&o->job, on_lookup);
    timer_init(&o->timer, on_ttl);
    list_push_back(&g->origins, &o->node);
    addr at;
    if (o->own.service) {
        o->host = str_c(o->text);
    } else if (addr_parse(str_c(o->text), default_port, &at) == 0) {
        set_addrs(o, &at, 1);
    } else {
        split_name(o, default_port);
    }
    return o;
}

void origin_inherit(origin *o, const origin *old)
{
    addr v[RESOLVE_MAX_ADDRS];
    int n = 0;
    LIST_EACH(it, &old->g->peers)
    {
        const peer *p = list_item(it, peer, node);
        if (p->origin == old && n < RESOLVE_MAX_ADDRS) {
            v[n] = p->at;
            addr_set_port(&v[n++], o->port);
        }
    }
    if (n) {
        set_addrs(o, v, n);
    }
}

void origin_update(origin *o, const struct conf_peer *c)
{
    o->own = *c;
    o->own.address = o->own.label = STR_EMPTY;
    origin_apply(o);
}

void origin_apply(origin *o)
{
    LIST_EACH(it, &o->g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (p->origin == o) {
            apply_to(o, p);
        }
    }
}

void origin_stop(origin *o)
{
    if (o->query) {
        resolve_cancel(o->query);
        o->query = NULL;
    }
    service_cancel(o->services);
    o->services = NULL;
    job_cancel(&o->job);
    timer_stop(&o->timer);
}

void origin_refresh(origin *o)
{
    if (!o->host.n || origin_is_asking(o) || (o->answered && clock_ms() < o->fresh_ms)) {
        return;
    }
    o->answered = false;
    o->g->unresolved = o->g->awaits = true;
    origin_start(o);
}

void origin_free(origin *o)
{
    origin_stop(o);
    LIST_EACH_SAFE(it, &o->g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (p->origin == o) {
            peer_retire(p);
        }
    }
    list_remove(&o->node);
    free(o->label);
    free(o->text);
    free(o);
}
