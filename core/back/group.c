/* group.c — the groups of a worker: found again by name when a configuration is applied, so that
 * health, pools and counters survive a reload. A group copies what it needs of its configuration:
 * it may outlive the one it was made from. */
#include "back/group.h"

#include "back/balance.h"
#include "back/group_impl.h"
#include "back/health.h"
#include "back/origin.h"
#include "back/peer.h"
#include "back/probe.h"
#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "shm/seg.h"
#include "tls/ctx.h"
#include "tls/stream_tls.h"
#include "shm/peers.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_COST = 100,
    BUDGET_FIRST = 10 * RETRY_COST,
    BUDGET_MAX = 100 * RETRY_COST,
    WAITERS_MAX = 100000
};

/* A request that waits for a group's first addresses. */
typedef struct waiter {
    list node;
    group *g;
    job *j;
} waiter;

group_set *group_set_new(loop *l, resolver *r)
{
    group_set *s = calloc(1, sizeof *s);
    REQUIRE(s != NULL);
    s->l = l;
    s->resolver = r;
    list_init(&s->groups);
    list_init(&s->waiters);
    list_init(&s->names);
    list_init(&s->dynamic_lru);
    map_init(&s->dynamic);
    return s;
}

static void set_end(group_set *s)
{
    map_fini(&s->dynamic);
    changes_fini(&s->changes);
    free(s);
}

void group_set_free(group_set *s)
{
    if (!s) {
        return;
    }
    s->closing = true;
    if (list_is_empty(&s->groups)) { /* else the last group does it */
        set_end(s);
    }
}

loop *group_set_loop(const group_set *s)
{
    return s->l;
}

resolver *group_resolver(const group *g)
{
    return g->names ? nameserver_resolver(g->names) : g->set->resolver;
}

/* ---- waiting for addresses */

static void waiter_free(group_set *s, waiter *w)
{
    list_remove(&w->node);
    s->nwaiters--;
    free(w);
}

void group_wake_waiters(group *g)
{
    LIST_EACH_SAFE(it, &g->set->waiters)
    {
        waiter *w = list_item(it, waiter, node);
        if (w->g == g) {
            job_wake(g->set->l, w->j);
            waiter_free(g->set, w);
        }
    }
}

static bool is_looking_up(const group *g)
{
    LIST_EACH(it, &g->origins)
    {
        const origin *o = list_item(it, origin, node);
        if (origin_is_asking(o) && !o->answered) {
            return true;
        }
    }
    return false;
}

bool group_wait_resolved(group *g, job *j)
{
    group_set *s = g->set;
    if (!g->unresolved || s->nwaiters >= WAITERS_MAX || !is_looking_up(g)) {
        return false;
    }
    group_wait_cancel(g, j);
    waiter *w = calloc(1, sizeof *w);
    if (!w) {
        return false;
    }
    w->g = g;
    w->j = j;
    list_push_back(&s->waiters, &w->node);
    s->nwaiters++;
    return true;
}

void group_wait_cancel(group *g, job *j)
{
    if (LIKELY(!g->set->nwaiters)) {
        return;
    }
    LIST_EACH_SAFE(it, &g->set->waiters)
    {
        waiter *w = list_item(it, waiter, node);
        if (w->j == j) {
            waiter_free(g->set, w);
        }
    }
}

/* ---- making and updating */

static void tier_add(struct tier *t, peer *p)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4;
        t->v = realloc(t->v, t->cap * sizeof *t->v);
        REQUIRE(t->v != NULL);
    }
    t->even = t->n == 0 || (t->even && t->v[0]->weight == p->weight);
    t->weight += p->weight;
    p->index = t->n;
    t->v[t->n++] = p;
}

void group_rebuild(group *g)
{
    g->npeers = g->nbackup = 0;
    for (int i = 0; i < 2; i++) {
        balance_ring_free(g->tiers[i].ring);
        g->tiers[i].ring = NULL;
        g->tiers[i].n = 0;
        g->tiers[i].weight = 0;
    }
    LIST_EACH(it, &g->peers)
    {
        peer *p = list_item(it, peer, node);
        g->npeers++;
        g->nbackup += p->backup;
        if (!p->down || g->own.passive == CONF_PASSIVE_NGINX) { /* there a key's peer must not move */
            tier_add(&g->tiers[p->backup], p);
        }
    }
    g->unresolved = false;
    LIST_EACH(it, &g->origins)
    {
        g->unresolved |= !list_item(it, origin, node)->answered;
    }
}

/* Another resolver is asked from now on; the last answers stay meanwhile. */
static void group_stop_lookups(group *g)
{
    LIST_EACH(it, &g->origins)
    {
        origin_stop(list_item(it, origin, node));
    }
}

group *group_find(const group_set *s, str name)
{
    LIST_EACH(it, &s->groups)
    {
        group *g = list_item(it, group, node);
        if (!g->like && str_eq(g->name, name)) {
            return g;
        }
    }
    return NULL;
}

group *group_new(group_set *s, str name)
{
    group *g = calloc(1, sizeof *g);
    REQUIRE(g != NULL);
    char *copy = strndup(name.n ? name.p : "", name.n);
    REQUIRE(copy != NULL);
    g->set = s;
    g->name = str_of(copy, name.n);
    g->conf = &g->own;
    g->budget = BUDGET_FIRST;
    list_init(&g->origins);
    list_init(&g->peers);
    list_init(&g->lru);
    list_push_back(&s->groups, &g->node);
    return g;
}

static void group_free(group *g)
{
    group_set *s = g->set;
    group_forget_dynamic(g);
    probe_stop(g);
    while (!list_is_empty(&g->origins)) {
        origin_free(list_item(g->origins.next, origin, node));
    }
    REQUIRE(list_is_empty(&g->peers));
    tls_client_unref(g->tls);
    nameserver_unref(g->names);
    list_remove(&g->node);
    for (int i = 0; i < 2; i++) {
        free(g->tiers[i].v);
        balance_ring_free(g->tiers[i].ring);
    }
    seg_close(g->seg);
    free((void *)(uintptr_t)g->name.p);
    free(g);
    if (s->closing && list_is_empty(&s->groups)) {
        set_end(s);
    }
}

/* A group made of a URL has that for a name. */
str group_host(const group *g)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_has_iprefix(g->name, str_c(schemes[i]))) {
            return str_from(g->name, strlen(schemes[i]));
        }
    }
    return g->name;
}

group *group_ref(group *g)
{
    g->refs++;
    return g;
}

void group_unref(group *g)
{
    if (g && --g->refs == 0) {
        group_free(g);
    }
}

static uint64_t tls_hash(const struct conf_upstream *c)
{
    uint64_t h = (uint64_t)c->tls << 1 | c->tls_verify;
    str parts[] = {c->tls_ca_pem, c->tls_cert_pem, c->tls_key_pem};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        h = hash_keyed(parts[i].p ? parts[i] : STR_EMPTY, h, i);
    }
    return h;
}

/* A changed context means that parked connections and sessions of the old one must not be used
 * again. */
static void update_tls(group *g, const struct conf_upstream *c, tls_client *made)
{
    if (c->tls && !made) {
        return; /* as before */
    }
    if (!c->tls && !g->tls) {
        return;
    }
    tls_client_unref(g->tls);
    g->tls = made;
    g->config_tag++;
    LIST_EACH(it, &g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (p->tls_session) {
            stream_tls_session_free(p->tls_session);
            p->tls_session = NULL;
        }
    }
}

void group_copy_conf(group *g, const struct conf_upstream *c)
{
    g->own = *c;
    g->own.name = g->name;
    g->own.peers = (struct conf_peers){0};
    g->own.check_method = g->own.check_path = g->own.check_host = g->own.check_body = g->own.check_service = STR_EMPTY;
    g->own.check_headers = g->own.check_status = (struct conf_strs){0};
    g->own.hash_key = g->own.tls_name = g->own.label = STR_EMPTY;
    g->own.tls_ca_pem = g->own.tls_cert_pem = g->own.tls_key_pem = STR_EMPTY;
}

/* What applying needs and may fail: made before anything is changed. */
struct prepared {
    tls_client *tls;
    nameserver *names;
    seg *table;
};

/* The table of the workers' common state, when the configuration names one. */
static void group_share(group *g, seg *table)
{
    if (table == g->seg) {
        seg_close(table);
        return;
    }
    LIST_EACH(it, &g->peers)
    {
        peer_part(list_item(it, peer, node));
    }
    seg_close(g->seg);
    g->seg = table;
    g->shared = NULL;
    if (table && peers_attach(table, &g->shared) < 0) {
        g->shared = NULL;
    }
    LIST_EACH(it, &g->peers)
    {
        peer_join(list_item(it, peer, node));
    }
}

static void group_update(group *g, const struct conf_upstream *c, struct prepared *made)
{
    group_forget_dynamic(g); /* they are made anew, with the new settings */
    update_tls(g, c, made->tls);
    g->tls_hash = tls_hash(c);
    if (g->names != made->names) {
        group_stop_lookups(g);
    }
    nameserver_unref(g->names);
    g->names = made->names;
    group_copy_conf(g, c);
    group_share(g, made->table);
    g->joint_turns = g->shared && c->passive == CONF_PASSIVE_NGINX;
    group_set_origins(g, &c->peers);
    health_apply(g);
    probe_apply(g, c);
}

/* A context for an upstream whose TLS settings are new; NULL in *out when the group's own will do.
 */
static int prepare_tls(group_set *s, const struct conf_upstream *c, tls_client **out, char *err,
                       size_t cap)
{
    const group *g = group_find(s, c->name);
    *out = NULL;
    if (!c->tls || (g && g->tls && g->tls_hash == tls_hash(c))) {
        return 0;
    }
    struct tls_client_args a = {
        .verify = c->tls_verify,
        .alpn_h2 = c->http2,
        .ca_pem = c->tls_ca_pem.p ? c->tls_ca_pem : STR_EMPTY,
        .cert_pem = c->tls_cert_pem.p ? c->tls_cert_pem : STR_EMPTY,
        .key_pem = c->tls_key_pem.p ? c->tls_key_pem : STR_EMPTY,
    };
    *out = tls_client_new(&a, err, cap);
    return *out ? 0 : ERR_CONF;
}

static int prepare(group_set *s, const conf *c, int i, struct prepared *p, char *err, size_t cap)
{
    const struct conf_upstream *u = &c->g.upstreams.v[i];
    if (u->resolver >= 0) {
        const struct conf_resolver *r = &c->g.resolvers.v[u->resolver];
        p->names = nameserver_get(s, r);
        if (!p->names) {
            snprintf(err, cap, "upstream %.*s: resolver: \"%.*s\" are no addresses of DNS servers",
                     STR_ARG(u->name), STR_ARG(r->servers));
            return ERR_CONF;
        }
    }
    if (u->zone >= 0) {
        char name[SEG_NAME_MAX + 8];
        int n = snprintf(name, sizeof name, "peers:%.*s", STR_ARG(c->g.zones.v[u->zone].name));
        seg *table = seg_find(str_of(name, (size_t)n < sizeof name ? (size_t)n : 0));
        p->table = table ? seg_ref(table) : NULL; /* absent: outside a gateway (specs, -t) */
    }
    int rc = probe_check(u, err, cap);
    return rc < 0 ? rc : prepare_tls(s, u, &p->tls, err, cap);
}

int group_set_apply(group_set *s, const conf *c, group **out, char *err, size_t errcap)
{
    const struct conf_upstreams *u = &c->g.upstreams;
    struct prepared *made = calloc((size_t)u->n + 1, sizeof *made);
    REQUIRE(made != NULL);
    int rc = 0;
    for (int i = 0; i < u->n && rc == 0; i++) {
        rc = prepare(s, c, i, &made[i], err, errcap);
    }
    for (int i = 0; i < u->n; i++) { /* nothing can fail from here on: all or nothing */
        if (rc < 0) {
            tls_client_unref(made[i].tls);
            nameserver_unref(made[i].names);
            seg_close(made[i].table);
            continue;
        }
        group *g = group_find(s, u->v[i].name);
        g = g ? g : group_new(s, u->v[i].name);
        group_update(g, &u->v[i], &made[i]);
        out[i] = group_ref(g);
    }
    free(made);
    return rc;
}

void group_each(group_set *s, void (*fn)(group *g, void *arg), void *arg)
{
    LIST_EACH_SAFE(it, &s->groups)
    {
        fn(list_item(it, group, node), arg);
    }
}

/* ---- choosing */

static peer *choose(const choice *c)
{
    switch ((enum conf_balance)c->g->own.balance) {
    case CONF_BALANCE_RR:
        return balance_rr(c);
    case CONF_BALANCE_LEAST:
        return balance_least(c);
    case CONF_BALANCE_P2C:
        return balance_p2c(c);
    case CONF_BALANCE_HASH:
        return balance_hash(c);
    case CONF_BALANCE_TIME:
        return balance_time(c);
    case CONF_BALANCE_RANDOM:
        return balance_random(c);
    case CONF_BALANCE_IP_HASH:
        return balance_ip_hash(c);
    case CONF_BALANCE_HASH_MOD:
        return balance_hash_mod(c);
    case CONF_BALANCE_HASH_RING:
        return balance_hash_ring(c);
    }
    return NULL;
}

static peer *choose_in(group *g, const struct pick_args *a)
{
    for (int i = 0; i < 2; i++) {
        choice c = {g, &g->tiers[i], a};
        peer *p;
        while (c.tier->n && (p = choose(&c)) != NULL) {
            p = peer_take(p, a->now_ms);
            if (LIKELY(p != NULL)) {
                return p;
            } /* another worker took its last place: it is not eligible any more */
        }
    }
    return NULL;
}

peer *group_pick(group *g, const struct pick_args *a)
{
    if (UNLIKELY(g->awaits)) {
        return NULL;
    }
    if (g->tiers[0].n == 1 && !a->ntried && peer_is_eligible(g->tiers[0].v[0], a->now_ms)) {
        peer *only = peer_take(g->tiers[0].v[0], a->now_ms); /* whatever the method, it is this one */
        if (LIKELY(only != NULL)) {
            return only;
        }
    }
    if (LIKELY(!g->joint_turns)) {
        peer *p = choose_in(g, a);
        if (LIKELY(p != NULL) || !g->watches) {
            return p;
        }
        g->lenient = true;
        p = choose_in(g, a);
        g->lenient = false;
        return p;
    }
    peers_lock(g->shared);
    peer *p = choose_in(g, a);
    peers_unlock(g->shared);
    return p;
}

peer *group_pick_named(group *g, str text, int64_t now_ms)
{
    peer *second = NULL; /* one of a name's addresses, or one that is out of rotation */
    LIST_EACH(it, &g->peers)
    {
        peer *p = list_item(it, peer, node);
        bool exact = str_eq(str_of(p->text, p->text_n), text);
        if (!exact && !str_eq(str_c(p->origin->text), text)) {
            continue;
        }
        if (peer_is_eligible(p, now_ms)) {
            return peer_take(p, now_ms);
        }
        bool full = p->max_conns && peer_in_flight(p) >= (uint32_t)p->max_conns;
        second = !second && !full && !p->down ? p : second;
    }
    return second ? peer_take(second, now_ms) : NULL;
}

int group_tries(const group *g)
{
    int n = 0;
    LIST_EACH(it, &g->peers)
    {
        n += !list_item(it, peer, node)->down;
    }
    return n > 1 ? n : 1;
}

/* ---- retry budget */

static void budget_add(group *g, int64_t n)
{
    g->budget = g->budget + n < BUDGET_MAX ? g->budget + n : BUDGET_MAX;
}

static void budget_age(group *g, int64_t now_ms)
{
    int64_t gone = now_ms - g->budget_at_ms;
    if (gone > 0) { /* one retry a second */
        budget_add(g, g->budget_at_ms ? (gone < 100000 ? gone : 100000) * RETRY_COST / 1000 : 0);
        g->budget_at_ms = now_ms;
    }
}

void group_count_request(group *g, int64_t now_ms)
{
    (void)now_ms;
    g->requests++;
    budget_add(g, g->own.retry_budget);
}

bool group_may_retry(group *g, int64_t now_ms)
{
    if (g->own.retry_budget == 0) {
        g->retries++;
        return true;
    }
    budget_age(g, now_ms);
    if (g->budget < RETRY_COST) {
        return false;
    }
    g->budget -= RETRY_COST;
    g->retries++;
    return true;
}
