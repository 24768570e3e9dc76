/* geo.c — values by client address. Whatever the file says, networks that contain each other or ranges, is cut at load into one sorted list of borders per family: the value of an address
 * is that of the last border at or below it, one binary search however many entries there are.
 *
 * As in nginx: an address that cannot be read, and a client on a unix socket, are looked up as 255.255.255.255; the later of two equal networks counts; ranges are IPv4 only. */
#include "flow/uservar_impl.h"

#include "base/err.h"
#include "base/log.h"
#include "base/vec.h"
#include "flow/realip.h"
#include "flow/req.h"

#include <arpa/inet.h>
#include <stdlib.h>

typedef unsigned __int128 wide; /* an address as a number: IPv4 in the low 32 bits */

struct border {
    wide from;
    str value;
};

struct borders {
    struct border *v;
    uint32_t n;
};

struct geo {
    struct varvalue source; /* empty: the client's address */
    struct borders v4, v6;
    trust proxies;
    bool has_source;
};

/* A network or range while compiling. */
struct net {
    wide first, last;
    uint32_t seq;
    bool gone;
    str value;
};

struct nets {
    VEC(struct net) v4;
    VEC(struct net) v6;
};

static wide number_of(const uint8_t *p, size_t n)
{
    wide x = 0;
    for (size_t i = 0; i < n; i++) {
        x = x << 8 | p[i];
    }
    return x;
}

/* ---- networks */

/* Outer before inner, equal ones in the order of the file. */
static int by_first(const void *pa, const void *pb)
{
    const struct net *a = pa;
    const struct net *b = pb;
    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    if (a->last != b->last) {
        return a->last > b->last ? -1 : 1;
    }
    return a->seq < b->seq ? -1 : 1;
}

/* Of equal networks the last word counts. Returns how many are left. */
static uint32_t settle(struct net *v, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool same_follows = i + 1 < n && v[i + 1].first == v[i].first && v[i + 1].last == v[i].last;
        if (!same_follows && !v[i].gone) {
            v[kept++] = v[i];
        }
    }
    return kept;
}

static void add_border(struct borders *b, wide from, str value)
{
    if (b->n && b->v[b->n - 1].from == from) {
        b->n--; /* an inner one starts where the outer does */
    }
    if (b->n && str_eq(b->v[b->n - 1].value, value)) {
        return;
    }
    b->v[b->n++] = (struct border){from, value};
}

/* Networks lie in each other or apart: those that are open at a place form a stack. */
static struct borders cut(struct net *v, uint32_t n, str otherwise, pool *p)
{
    if (n) { /* a geo of ranges, or of a default only, has none */
        qsort(v, n, sizeof *v, by_first);
        n = settle(v, n);
    }
    struct borders b = {pool_alloc(p, sizeof *b.v * (2 * (size_t)n + 1)), 0};
    const struct net *open[130];
    int depth = 0;
    add_border(&b, 0, otherwise);
    for (uint32_t i = 0; i <= n; i++) {
        while (depth && (i == n || open[depth - 1]->last < v[i].first)) {
            wide next = open[--depth]->last + 1;
            if (next) {
                add_border(&b, next, depth ? open[depth - 1]->value : otherwise);
            }
        }
        if (i < n && depth < (int)ARRAY_LEN(open)) {
            add_border(&b, v[i].first, v[i].value);
            open[depth++] = &v[i];
        }
    }
    return b;
}

static int parse_net(str key, cidr *out)
{
    if (str_eq(key, STR("255.255.255.255"))) {
        *out = (cidr){.family = 4, .bits = 32, .net = {255, 255, 255, 255}};
        return 0;
    }
    return cidr_parse(key, out);
}

static int add_net(struct uservar_making *m, struct nets *all, const struct conf_varentry *e, uint32_t seq)
{
    cidr c;
    if (parse_net(e->key, &c) < 0 || (c.family != 4 && c.family != 6)) {
        varmaking_fail(m, e->label, "invalid network \"%.*s\"", STR_ARG(e->key));
        return ERR_CONF;
    }
    unsigned width = c.family == 4 ? 32 : 128;
    wide span = c.bits == 0 ? (width == 32 ? (wide)UINT32_MAX : ~(wide)0) : ((wide)1 << (width - c.bits)) - 1;
    struct net net = {.seq = seq, .gone = e->remove, .value = e->value.p ? e->value : STR_EMPTY};
    net.first = number_of(c.net, width / 8) & ~span;
    net.last = net.first | span;
    if (c.family == 4) {
        vec_push(&all->v4, net);
    } else {
        vec_push(&all->v6, net);
    }
    return 0;
}

static int compile_nets(struct uservar_making *m, struct geo *g)
{
    struct nets all = {{0}, {0}};
    str otherwise = m->c->otherwise.p ? m->c->otherwise : STR_EMPTY;
    int rc = 0;
    for (int i = 0; rc == 0 && i < m->c->entries.n; i++) {
        rc = add_net(m, &all, &m->c->entries.v[i], (uint32_t)i);
    }
    if (rc == 0) {
        g->v4 = cut(all.v4.v, all.v4.n, otherwise, m->pool);
        g->v6 = cut(all.v6.v, all.v6.n, otherwise, m->pool);
    }
    vec_fini(&all.v4);
    vec_fini(&all.v6);
    return rc;
}

/* ---- ranges: kept sorted and apart, a new one may only fill a gap, replace one or lie inside one. Done per 64 Ki addresses, so that inserting moves little; that a range across such a
 * border is looked at in pieces is nginx's way too. */

enum { BUCKETS = 0x10000 };

struct piece {
    uint32_t first, last;
    str value;
};

struct bucket {
    VEC(struct piece) p;
};

static void put_piece(struct bucket *b, uint32_t at, struct piece p)
{
    vec_push(&b->p, p);
    memmove(&b->p.v[at + 1], &b->p.v[at], sizeof p * (b->p.n - 1 - at));
    b->p.v[at] = p;
}

/* The first piece that does not end before `first`. */
static uint32_t place_of(const struct bucket *b, uint32_t first)
{
    uint32_t lo = 0;
    uint32_t hi = b->p.n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (b->p.v[mid].last < first) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* NULL, or the piece that is in the way. */
static const struct piece *insert_piece(struct bucket *b, struct piece new)
{
    uint32_t at = place_of(b, new.first);
    if (at == b->p.n || b->p.v[at].first > new.last) {
        put_piece(b, at, new);
        return NULL;
    }
    struct piece old = b->p.v[at];
    if (old.first > new.first || old.last < new.last) {
        return &b->p.v[at];
    }
    b->p.v[at] = new;
    if (old.last > new.last) {
        put_piece(b, at + 1, (struct piece){new.last + 1, old.last, old.value});
    }
    if (old.first < new.first) {
        put_piece(b, at, (struct piece){old.first, new.first - 1, old.value});
    }
    return NULL;
}

static bool remove_piece(struct bucket *b, struct piece gone)
{
    uint32_t at = place_of(b, gone.first);
    if (at == b->p.n || b->p.v[at].first != gone.first || b->p.v[at].last != gone.last) {
        return false;
    }
    memmove(&b->p.v[at], &b->p.v[at + 1], sizeof gone * (b->p.n - 1 - at));
    b->p.n--;
    return true;
}

static bool parse_v4(str s, uint32_t *out)
{
    char text[16];
    struct in_addr a;
    if (s.n >= sizeof text) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    if (inet_pton(AF_INET, text, &a) != 1) {
        return false;
    }
    *out = ntohl(a.s_addr);
    return true;
}

static int overlap(struct uservar_making *m, const struct conf_varentry *e, const struct piece *p)
{
    struct in_addr a = {htonl(p->first)};
    struct in_addr b = {htonl(p->last)};
    char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &a, from, sizeof from);
    inet_ntop(AF_INET, &b, to, sizeof to);
    varmaking_fail(m, e->label, "range \"%.*s\" overlaps \"%s-%s\"", STR_ARG(e->key), from, to);
    return ERR_CONF;
}

static int add_range(struct uservar_making *m, struct bucket *all, const struct conf_varentry *e)
{
    size_t dash = str_find(e->key, '-', 0);
    uint32_t first, last;
    if (!parse_v4(str_of(e->key.p, dash), &first) || !parse_v4(str_from(e->key, dash + 1), &last) || first > last) {
        varmaking_fail(m, e->label, "invalid range \"%.*s\"", STR_ARG(e->key));
        return ERR_CONF;
    }
    bool found = true;
    for (uint64_t at = first; at <= last; at = (at | 0xffff) + 1) {
        uint32_t end = (at | 0xffff) < last ? (uint32_t)(at | 0xffff) : last;
        struct piece p = {(uint32_t)at, end, e->value.p ? e->value : STR_EMPTY};
        struct bucket *b = &all[at >> 16];
        if (e->remove) {
            found &= remove_piece(b, p);
            continue;
        }
        const struct piece *in_the_way = insert_piece(b, p);
        if (in_the_way) {
            return overlap(m, e, in_the_way);
        }
    }
    if (!found) {
        log_warn("no address range \"%.*s\" to delete in %.*s", STR_ARG(e->key), STR_ARG(e->label.n ? e->label : m->c->label));
    }
    return 0;
}

static void flatten(const struct bucket *all, str otherwise, pool *p, struct borders *out)
{
    size_t n = 0;
    for (int i = 0; i < BUCKETS; i++) {
        n += all[i].p.n;
    }
    *out = (struct borders){pool_alloc(p, sizeof *out->v * (2 * n + 1)), 0};
    add_border(out, 0, otherwise);
    for (int i = 0; i < BUCKETS; i++) {
        for (uint32_t k = 0; k < all[i].p.n; k++) {
            const struct piece *x = &all[i].p.v[k];
            add_border(out, x->first, x->value);
            add_border(out, (wide)x->last + 1, otherwise);
        }
    }
}

static int compile_ranges(struct uservar_making *m, struct geo *g)
{
    struct bucket *all = calloc(BUCKETS, sizeof *all);
    if (!all) {
        varmaking_fail(m, STR_EMPTY, "out of memory");
        return ERR_CONF;
    }
    str otherwise = m->c->otherwise.p ? m->c->otherwise : STR_EMPTY;
    int rc = 0;
    for (int i = 0; rc == 0 && i < m->c->entries.n; i++) {
        rc = add_range(m, all, &m->c->entries.v[i]);
    }
    if (rc == 0) {
        flatten(all, otherwise, m->pool, &g->v4);
    }
    for (int i = 0; i < BUCKETS; i++) {
        vec_fini(&all[i].p);
    }
    free(all);
    return rc;
}

static int compile_proxies(struct uservar_making *m, struct geo *g)
{
    const struct conf_strs *c = &m->c->proxies;
    g->proxies.v = pool_alloc(m->pool, sizeof *g->proxies.v * (size_t)(c->n ? c->n : 1));
    for (int i = 0; i < c->n; i++) {
        if (parse_net(c->v[i], &g->proxies.v[i]) < 0) {
            varmaking_fail(m, STR_EMPTY, "invalid network \"%.*s\"", STR_ARG(c->v[i]));
            return ERR_CONF;
        }
    }
    g->proxies.n = c->n;
    g->proxies.recursive = m->c->proxy_recursive;
    return 0;
}

void *geo_new(struct uservar_making *m)
{
    struct geo *g = pool_zalloc(m->pool, sizeof *g);
    g->has_source = m->c->source.n > 0;
    int rc = varvalue_compile(m, m->c->source, &g->source);
    rc = rc ? rc : compile_proxies(m, g);
    rc = rc ? rc : m->c->ranges ? compile_ranges(m, g) : compile_nets(m, g);
    return rc < 0 ? NULL : g;
}

/* ---- looking up */

/* False: there is no address. */
static bool address_of(const struct geo *g, req *r, addr *a)
{
    *a = r->client.addr;
    if (g->has_source) {
        str text = varvalue_get(&g->source, r);
        if (!text.n || text.n >= ADDR_TEXT_MAX || addr_parse(text, 0, a) < 0) {
            return false;
        }
    }
    if (g->proxies.n) {
        realip_walk(&r->in.h, &g->proxies, a);
    }
    return true;
}

str geo_get(const void *impl, req *r)
{
    const struct geo *g = impl;
    const struct borders *b = &g->v4;
    wide x = UINT32_MAX;
    addr a;
    if (address_of(g, r, &a) && a.len && a.sa.sa_family == AF_INET) {
        x = ntohl(a.in.sin_addr.s_addr);
    } else if (a.len && a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr)) {
        x = number_of(a.in6.sin6_addr.s6_addr + 12, 4);
    } else if (a.len && a.sa.sa_family == AF_INET6 && g->v6.n) {
        b = &g->v6;
        x = number_of(a.in6.sin6_addr.s6_addr, 16);
    }
    uint32_t lo = 0;
    uint32_t hi = b->n; /* the first border is 0: there is always one at or below */
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (b->v[mid].from <= x) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return b->v[lo].value;
}
