/* route_regex.c — see route_regex.h. A tree of literal beginnings; each node that has regexes keeps
 * them in file order and knows the nearest one above it. Caseless patterns have a tree of folded
 * beginnings. */
#include "flow/route_regex.h"

#include "base/err.h"
#include "flow/plan.h"
#include "flow/radix.h"
#include "conf/conf.h"

#include <stdio.h>

/* Regexes that share a beginning. */
typedef struct regex_spot {
    radix_node *node;
    struct regex_spot *next; /* all spots, while building */
    const struct regex_spot *above;
    const route **v;
    uint32_t n, cap;
} regex_spot;

struct route_regexes {
    pool *pool;
    radix plain, folded;
    bool has_plain, has_folded;
    regex_spot *spots;
};

route_regexes *route_regexes_new(pool *p)
{
    route_regexes *t = pool_zalloc(p, sizeof *t);
    t->pool = p;
    radix_init(&t->plain, p, false);
    radix_init(&t->folded, p, true);
    return t;
}

static void regex_cleanup(void *arg)
{
    regex_free(arg);
}

regex *route_regex(pool *p, str pattern, bool caseless, char *err, size_t errcap)
{
    char why[160] = "";
    size_t at = 0;
    /* "$" must not match before a final line feed: "/admin%0A" is not "/admin" */
    unsigned flags = REGEX_DOLLAR_ENDONLY | (caseless ? REGEX_CASELESS : 0);
    regex *re = regex_new(pattern, flags, why, sizeof why, &at);
    if (!re) {
        snprintf(err, errcap, "bad regex \"%.*s\": %s at offset %zu", STR_ARG(pattern), why, at);
        return NULL;
    }
    pool_on_fini(p, regex_cleanup, re);
    return re;
}

/* The bytes every match starts with, letters folded. A caseless pattern has the same beginning as
 * its case-sensitive twin but for case. */
static str folded_prefix(str pattern, pool *p)
{
    regex *twin = regex_new(pattern, REGEX_DOLLAR_ENDONLY, NULL, 0, NULL);
    if (!twin) {
        return STR_EMPTY;
    }
    str prefix = regex_literal_prefix(twin);
    char *out = pool_alloc(p, prefix.n + 1);
    for (size_t i = 0; i < prefix.n; i++) {
        out[i] = (char)str_lower_char((unsigned char)prefix.p[i]);
    }
    regex_free(twin);
    return str_of(out, prefix.n);
}

static regex_spot *spot_of(route_regexes *t, radix_node *n)
{
    if (!n->item) {
        regex_spot *s = pool_zalloc(t->pool, sizeof *s);
        s->node = n;
        s->next = t->spots;
        t->spots = s;
        n->item = s;
    }
    return n->item;
}

static void spot_add(regex_spot *s, const route *rt, pool *p)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 1;
        const route **v = pool_alloc(p, sizeof *v * cap);
        if (s->n) {
            memcpy(v, s->v, sizeof *v * s->n);
        }
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = rt;
}

int route_regexes_add(route_regexes *t, route *rt, char *err, size_t errcap)
{
    char why[256];
    rt->re = route_regex(t->pool, rt->c->pattern, rt->c->caseless, why, sizeof why);
    if (!rt->re) {
        snprintf(err, errcap, "%s: %s", rt->c->label.n ? rt->c->label.p : "route", why);
        return ERR_CONF;
    }
    bool fold = rt->c->caseless;
    str prefix = fold ? folded_prefix(rt->c->pattern, t->pool) : regex_literal_prefix(rt->re);
    t->has_folded |= fold;
    t->has_plain |= !fold;
    radix *tree = fold ? &t->folded : &t->plain;
    spot_add(spot_of(t, radix_put(tree, NULL, prefix)), rt, t->pool);
    return 0;
}

void route_regexes_seal(route_regexes *t)
{
    radix_seal(&t->plain);
    radix_seal(&t->folded);
    for (regex_spot *s = t->spots; s; s = s->next) {
        const radix_node *up = s->node->up;
        s->above = up && up->near_item ? up->near_item->item : NULL;
    }
}

bool route_regexes_has_any(const route_regexes *t)
{
    return t->has_plain || t->has_folded;
}

static const regex_spot *deepest(const radix *tree, str path)
{
    const radix_node *n = radix_walk(tree, path);
    return n ? n->item : NULL;
}

bool route_regexes_walk(const route_regexes *t, str path, struct regex_walk *w)
{
    w->plain = t->has_plain ? deepest(&t->plain, path) : NULL;
    w->folded = t->has_folded ? deepest(&t->folded, path) : NULL;
    return w->plain || w->folded;
}

/* Over a chain of lists that are each in file order. */
static const route *next_of(const regex_spot *chain, uint32_t from, const route *best)
{
    for (const regex_spot *at = chain; at; at = at->above) {
        uint32_t lo = 0;
        uint32_t hi = at->n;
        while (lo < hi) {
            uint32_t mid = (lo + hi) / 2;
            if (at->v[mid]->rank < from) {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        if (lo < at->n && (!best || at->v[lo]->rank < best->rank)) {
            best = at->v[lo];
        }
    }
    return best;
}

const route *route_regexes_next(const struct regex_walk *w, uint32_t from)
{
    return next_of(w->folded, from, next_of(w->plain, from, NULL));
}
