/* balance_nginx.c — the methods of nginx's dialect that pick by a number instead of looking at
 * everybody: a draw or a hash falls on a peer; when that one may not be taken the next draw or
 * rehash decides, and after 20 of them round robin does. The same keys fall on the same peers as
 * with nginx, which caches and sticky sessions behind both depend on. */
#include "back/balance.h"
#include "back/origin.h"
#include "base/check.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "base/rand.h"

#include <stdlib.h>

enum { DRAWS = 20, POINTS = 160 };

/* The peer that the number falls on when each takes as much room as its weight. */
static peer *peer_at(const struct tier *t, uint32_t at)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (at < (uint32_t)t->v[i]->weight) {
            return t->v[i];
        }
        at -= (uint32_t)t->v[i]->weight;
    }
    return t->v[t->n - 1];
}

/* ---- random */

static bool is_better(const choice *c, peer *a, peer *b)
{
    if (c->g->own.balance_by == CONF_BY_CONNS) {
        return (int64_t)peer_in_flight(a) * b->weight <= (int64_t)peer_in_flight(b) * a->weight;
    }
    return balance_expected(c, a) * b->weight <= balance_expected(c, b) * a->weight;
}

peer *balance_random(const choice *c)
{
    peer *first = NULL;
    for (int i = 0; c->tier->n > 1 && i <= DRAWS; i++) {
        peer *p = peer_at(c->tier, rand_below((uint32_t)c->tier->weight));
        if (p == first || !balance_allows(c, p)) {
            continue;
        }
        if (!c->g->own.balance_two) {
            return p;
        }
        if (first) {
            return is_better(c, p, first) ? p : first;
        }
        first = p;
    }
    return balance_rr(c);
}

/* ---- ip_hash: clients of one IPv4 /24 go to one peer */

peer *balance_ip_hash(const choice *c)
{
    static const uint8_t nobody[3];
    const addr *a = c->args->client;
    const uint8_t *bytes = nobody;
    size_t n = 3;
    uint32_t hash = 89;
    if (a && a->sa.sa_family == AF_INET) {
        bytes = (const uint8_t *)&a->in.sin_addr;
    } else if (a && a->sa.sa_family == AF_INET6) {
        bytes = a->in6.sin6_addr.s6_addr;
        n = 16;
    }
    for (int i = 0; c->tier->n > 1 && i <= DRAWS; i++) {
        for (size_t k = 0; k < n; k++) {
            hash = (hash * 113 + bytes[k]) % 6271;
        }
        peer *p = peer_at(c->tier, hash % (uint32_t)c->tier->weight);
        if (balance_allows(c, p)) {
            return p;
        }
    }
    return balance_rr(c);
}

/* ---- hash: the memcached clients' rule */

peer *balance_hash_mod(const choice *c)
{
    str key = c->args->key;
    uint32_t sum = 0;
    for (int i = 0; c->tier->n > 1 && key.n && i <= DRAWS; i++) {
        char room[12];
        fmt again = fmt_of(room, sizeof room);
        if (i > 0) {
            fmt_u64(&again, (uint64_t)i);
        }
        uint32_t crc = hash_crc32(0, fmt_str(&again));
        sum += hash_crc32(crc, key) >> 16 & 0x7fff;
        peer *p = peer_at(c->tier, sum % (uint32_t)c->tier->weight);
        if (balance_allows(c, p)) {
            return p;
        }
    }
    return balance_rr(c);
}

/* ---- hash consistent: ketama points, 160 for each unit of weight */

struct point {
    uint32_t hash;
    const origin *of;
};

struct ring {
    uint32_t n;
    struct point v[];
};

void balance_ring_free(struct ring *r)
{
    free(r);
}

static str text_of(const origin *o)
{
    return o->label ? str_c(o->label) : str_c(o->text);
}

static int by_hash(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* "host\0port": the port is what stands behind the last colon, if it is a number. */
static uint32_t base_of(str text)
{
    size_t at = text.n;
    if (str_has_prefix(text, STR("unix:"))) {
        text = str_from(text, 5);
        at = text.n;
    } else {
        while (at > 0 && text.p[at - 1] >= '0' && text.p[at - 1] <= '9') {
            at--;
        }
        at = at > 0 && text.p[at - 1] == ':' ? at - 1 : text.n;
    }
    uint32_t crc = hash_crc32(0, str_of(text.p, at));
    crc = hash_crc32(crc, str_of("", 1));
    return at < text.n ? hash_crc32(crc, str_from(text, at + 1)) : crc;
}

static void add_points(struct ring *r, const peer *p)
{
    uint32_t base = base_of(text_of(p->origin)), last = 0;
    for (int i = 0; i < p->weight * POINTS; i++) {
        uint8_t bytes[4] = {(uint8_t)last, (uint8_t)(last >> 8), (uint8_t)(last >> 16),
                            (uint8_t)(last >> 24)};
        last = hash_crc32(base, str_of((const char *)bytes, 4));
        r->v[r->n++] = (struct point){last, p->origin};
    }
}

static struct ring *ring_new(const struct tier *t)
{
    struct ring *r = malloc(sizeof *r + (size_t)t->weight * POINTS * sizeof *r->v);
    REQUIRE(r != NULL);
    r->n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        add_points(r, t->v[i]);
    }
    qsort(r->v, r->n, sizeof *r->v, by_hash);
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        if (n == 0 || r->v[n - 1].hash != r->v[i].hash) {
            r->v[n++] = r->v[i];
        }
    }
    r->n = n;
    return r;
}

/* The first point at or after the hash. */
static uint32_t ring_find(const struct ring *r, uint32_t hash)
{
    uint32_t from = 0, to = r->n;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (r->v[mid].hash < hash) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

peer *balance_hash_ring(const choice *c)
{
    struct tier *t = c->tier;
    str key = c->args->key;
    if (t->n < 2 || !key.n) {
        return balance_rr(c);
    }
    t->ring = t->ring ? t->ring : ring_new(t);
    uint32_t at = ring_find(t->ring, hash_crc32(0, key));
    for (int i = 0; i <= DRAWS; i++) {
        const origin *of = t->ring->v[(at + (uint32_t)i) % t->ring->n].of;
        struct turns turns = {.c = c};
        for (uint32_t k = 0; k < t->n; k++) { /* a name's addresses share its points */
            if (str_eq(text_of(t->v[k]->origin), text_of(of)) && balance_allows(c, t->v[k])) {
                balance_turn(&turns, t->v[k]);
            }
        }
        peer *p = balance_turned(&turns);
        if (p) {
            return p;
        }
    }
    return balance_rr(c);
}
