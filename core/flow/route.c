/* route.c — route tables: built once per site and generation, searched per request. The order of
 * precedence is in route.h. */
#include "flow/route.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/radix.h"
#include "flow/req.h"
#include "flow/route_regex.h"
#include "flow/route_when.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARAMS_MAX = ARRAY_LEN(((req *)0)->params) };

/* Routes that share a pattern, best first. */
struct alike {
    const route **v;
    uint32_t n, cap;
};

/* What hangs on a node of a tree. */
typedef struct spot {
    radix_node *node;
    struct spot *next; /* all spots of a table, while building */
    struct alike exact, slash, prefix;
    const struct spot *prefix_at; /* this or the nearest above that has some */
    const struct spot *above_prefix;
} spot;

struct route_table {
    radix plain, segments;
    bool has_segments;
    route_regexes *regexes;
    spot *spots;
};

/* One search. `allow`: methods of the routes that only lacked the method. */
struct search {
    req *r;
    bool failed;
    uint32_t allow;
};

/* ---- building */

static spot *spot_of(route_table *t, radix *tree, radix_node *n)
{
    if (!n->item) {
        spot *s = pool_zalloc(tree->pool, sizeof *s);
        s->node = n;
        s->next = t->spots;
        t->spots = s;
        n->item = s;
    }
    return n->item;
}

static void alike_add(struct alike *a, const route *rt, pool *p)
{
    if (a->n == a->cap) {
        const route **v = pool_alloc(p, sizeof *v * (a->cap ? a->cap * 2 : 1));
        if (a->n) {
            memcpy(v, a->v, sizeof *v * a->n);
        }
        a->v = v;
        a->cap = a->cap ? a->cap * 2 : 1;
    }
    a->v[a->n++] = rt;
}

static int nmethods(const route *rt)
{
    return rt->c->methods.n ? rt->c->methods.n : METHOD_COUNT + 1;
}

/* Narrower first, then file order. */
static int by_narrowness(const void *pa, const void *pb)
{
    const route *a = *(route *const *)pa;
    const route *b = *(route *const *)pb;
    if (a->nwhen != b->nwhen) {
        return b->nwhen - a->nwhen;
    }
    if (nmethods(a) != nmethods(b)) {
        return nmethods(a) - nmethods(b);
    }
    return a->rank < b->rank ? -1 : 1;
}

static int by_rank(const void *pa, const void *pb)
{
    const route *a = *(route *const *)pa;
    const route *b = *(route *const *)pb;
    if (a->c->order != b->c->order) {
        return a->c->order < b->c->order ? -1 : 1;
    }
    return a < b ? -1 : 1;
}

static bool same_methods(const route *a, const route *b)
{
    if (a->methods != b->methods || a->c->methods.n != b->c->methods.n) {
        return false;
    }
    for (int i = 0; i < a->c->methods.n; i++) {
        bool found = false;
        for (int k = 0; k < b->c->methods.n; k++) {
            found |= str_eq(a->c->methods.v[i], b->c->methods.v[k]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static const char *label_of(const route *rt)
{
    return rt->c->label.n ? rt->c->label.p : "route";
}

/* Adds to the routes of a pattern; two of them that nothing tells apart are a mistake in the file.
 */
static int add_unique(struct alike *a, const route *rt, pool *p, char *err, size_t cap)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const route *other = a->v[i];
        if (same_methods(other, rt) && route_when_same(other, rt)) {
            const route *first = other->rank < rt->rank ? other : rt;
            const route *second = first == rt ? other : rt;
            snprintf(err, cap, "%s: route \"%.*s\" ties with the one at %s", label_of(second),
                     STR_ARG(second->c->pattern), label_of(first));
            return ERR_CONF;
        }
    }
    alike_add(a, rt, p);
    return 0;
}

static int add_exact(route_table *t, route *rt, pool *p, char *err, size_t cap)
{
    spot *s = spot_of(t, &t->plain, radix_put(&t->plain, NULL, rt->c->pattern));
    return add_unique(&s->exact, rt, p, err, cap);
}

static int add_prefix(route_table *t, route *rt, pool *p, char *err, size_t cap)
{
    str pattern = rt->c->pattern;
    spot *s = spot_of(t, &t->plain, radix_put(&t->plain, NULL, pattern));
    if (rt->c->slash_redirect && pattern.n > 1 && pattern.p[pattern.n - 1] == '/') {
        pattern.n--;
        alike_add(&spot_of(t, &t->plain, radix_put(&t->plain, NULL, pattern))->slash, rt, p);
    }
    return add_unique(&s->prefix, rt, p, err, cap);
}

/* "/u/:id/posts": literal runs as usual, a wild edge for each ":name". A final "/ *" takes any
 * rest. */
static int add_segments(route_table *t, route *rt, pool *p, char *err, size_t cap)
{
    str rest = rt->c->pattern;
    bool open = str_has_suffix(rest, STR("/*"));
    if (open) {
        rest.n -= 2;
    }
    radix_node *n = t->segments.root;
    rt->param_names = pool_alloc(p, PARAMS_MAX * sizeof(str));
    rt->nparams = 0;
    rt->literals = 0;
    while (rest.n) {
        size_t colon = str_search(rest, STR("/:"));
        str literal = str_of(rest.p, colon < rest.n ? colon + 1 : rest.n);
        for (size_t i = 0; i + 1 < literal.n; i++) {
            rt->literals += literal.p[i] == '/' && literal.p[i + 1] != '/';
        }
        n = radix_put(&t->segments, n, literal);
        rest = str_from(rest, literal.n);
        if (rest.n) {
            size_t end = str_find(rest, '/', 0);
            if (rt->nparams == PARAMS_MAX || end < 2) {
                snprintf(err, cap, "%s: route \"%.*s\": %s", label_of(rt), STR_ARG(rt->c->pattern),
                         end < 2 ? "a name must follow the colon" : "more than 8 named segments");
                return ERR_CONF;
            }
            rt->param_names[rt->nparams++] = str_of(rest.p + 1, end - 1);
            n = radix_put_wild(&t->segments, n);
            rest = str_from(rest, end);
        }
    }
    t->has_segments = true;
    spot *s = spot_of(t, &t->segments, n);
    return add_unique(open ? &s->prefix : &s->exact, rt, p, err, cap);
}

static int add_route(route_table *t, route *rt, pool *p, char *err, size_t cap)
{
    switch ((enum conf_match)rt->c->match) {
    case CONF_MATCH_EXACT:
        return add_exact(t, rt, p, err, cap);
    case CONF_MATCH_PREFIX:
        return add_prefix(t, rt, p, err, cap);
    case CONF_MATCH_SEGMENTS:
        return add_segments(t, rt, p, err, cap);
    case CONF_MATCH_REGEX:
        return route_regexes_add(t->regexes, rt, err, cap);
    case CONF_MATCH_NAMED:
    case CONF_MATCH_INNER:
        return 0; /* not reached by a path */
    }
    return ERR_CONF;
}

static const spot *next_above(const spot *s)
{
    const radix_node *up = s->node->up;
    return up && up->near_item ? up->near_item->item : NULL;
}

/* Chains of spots that have prefixes, so that a search visits nothing else. */
static void link_spots(route_table *t)
{
    for (spot *s = t->spots; s; s = s->next) {
        const spot *up = next_above(s);
        while (up && !up->prefix.n) {
            up = next_above(up);
        }
        s->above_prefix = up;
        s->prefix_at = s->prefix.n ? s : s->above_prefix;
    }
}

static void methods_compile(route *rt)
{
    rt->methods = 0;
    for (int i = 0; i < rt->c->methods.n; i++) {
        enum method m = method_find(rt->c->methods.v[i]);
        rt->methods |= 1u << m;
        if (m == METHOD_GET) {
            rt->methods |= 1u << METHOD_HEAD;
        }
    }
}

route_table *route_table_new(route *routes, int n, pool *p, char *err, size_t errcap)
{
    route_table *t = pool_zalloc(p, sizeof *t);
    radix_init(&t->plain, p, false);
    t->regexes = route_regexes_new(p);
    radix_init(&t->segments, p, false);
    route **sorted = pool_alloc(p, sizeof *sorted * (size_t)(n ? n : 1));
    for (int i = 0; i < n; i++) {
        sorted[i] = &routes[i];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_rank);
    for (int i = 0; i < n; i++) {
        sorted[i]->rank = (uint32_t)i;
        methods_compile(sorted[i]);
        if (route_when_compile(sorted[i], p, err, errcap) < 0) {
            return NULL;
        }
        if (sorted[i]->c->match == CONF_MATCH_REGEX &&
            add_route(t, sorted[i], p, err, errcap) < 0) {
            return NULL;
        }
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_narrowness);
    for (int i = 0; i < n; i++) {
        if (sorted[i]->c->match != CONF_MATCH_REGEX &&
            add_route(t, sorted[i], p, err, errcap) < 0) {
            return NULL;
        }
    }
    radix_seal(&t->plain);
    route_regexes_seal(t->regexes);
    radix_seal(&t->segments);
    link_spots(t);
    return t;
}

/* ---- searching */

static bool method_fits(const route *rt, const req *r)
{
    if (!rt->methods) {
        return true;
    }
    if (!(rt->methods >> r->in.method & 1)) {
        return false;
    }
    if (r->in.method != METHOD_OTHER) {
        return true;
    }
    for (int i = 0; i < rt->c->methods.n; i++) {
        if (str_eq(rt->c->methods.v[i], r->in.method_name)) {
            return true;
        }
    }
    return false;
}

static bool accepts(struct search *s, const route *rt)
{
    bool fits = !rt->methods || method_fits(rt, s->r);
    int holds = rt->nwhen ? route_when_holds(rt, s->r) : 1;
    if (holds < 0) {
        log_error("route %s: regex of a matcher failed: %s", label_of(rt), err_text(holds));
        s->failed = true;
    }
    if (holds <= 0) {
        return false;
    }
    s->allow |= fits ? 0 : rt->methods;
    return fits;
}

static const route *first_accepted(struct search *s, const struct alike *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (accepts(s, a->v[i])) {
            return a->v[i];
        }
    }
    return NULL;
}

static bool at_border(str path, size_t at)
{
    return at >= path.n || path.p[at] == '/' || at == 0 || path.p[at - 1] == '/';
}

static const route *find_prefix(struct search *s, const spot *from)
{
    str path = s->r->path;
    for (const spot *at = from ? from->prefix_at : NULL; at; at = at->above_prefix) {
        bool border = at_border(path, at->node->depth);
        for (uint32_t i = 0; i < at->prefix.n; i++) {
            const route *rt = at->prefix.v[i];
            if ((border || !rt->c->border) && accepts(s, rt)) {
                return rt;
            }
        }
    }
    return NULL;
}

static const route *take_captures(req *r, const route *rt, const regex_match *m)
{
    r->captures = pool_alloc(&r->pool, sizeof *m);
    r->captures->n = m->n;
    memcpy(r->captures->at, m->at, sizeof m->at[0] * 2 * (size_t)m->n);
    r->capture_subject = r->path;
    return rt;
}

static const route *find_regex(struct search *s, const route_regexes *regexes)
{
    regex_match m;
    struct regex_walk w;
    if (!route_regexes_walk(regexes, s->r->path, &w)) {
        return NULL;
    }
    uint32_t from = 0;
    for (;;) {
        const route *rt = route_regexes_next(&w, from);
        if (!rt) {
            return NULL;
        }
        from = rt->rank + 1;
        int rc = regex_exec(rt->re, s->r->path, 0, &m);
        if (rc < 0) {
            log_error("route %s: regex failed on the path: %s", label_of(rt), err_text(rc));
            s->failed = true;
            return NULL;
        }
        if (rc == 1 && accepts(s, rt)) {
            return take_captures(s->r, rt, &m);
        }
    }
}

/* A search for ":name" patterns: the best so far and the values on the current way. */
struct way {
    struct search *s;
    const route_table *t;
    const route *best;
    int best_score;
    str params[PARAMS_MAX];
    int n;
};

static void way_offer(struct way *w, const struct alike *a, bool whole)
{
    for (uint32_t i = 0; i < a->n; i++) {
        int score = a->v[i]->literals * 2 + whole;
        if (score > w->best_score && accepts(w->s, a->v[i])) {
            w->best = a->v[i];
            w->best_score = score;
            w->s->r->nparams = w->n;
            memcpy(w->s->r->params, w->params, sizeof(str) * (size_t)w->n);
            return;
        }
    }
}

static void way_go(struct way *w, const radix_node *n, size_t at);

static void way_wild(struct way *w, const radix_node *wild, size_t at)
{
    size_t end = str_find(w->s->r->path, '/', at);
    if (end > at && w->n < PARAMS_MAX) {
        w->params[w->n++] = str_of(w->s->r->path.p + at, end - at);
        way_go(w, wild, end);
        w->n--;
    }
}

/* Tries the literal edge first, so that of equal ones the first literal wins. Deep as the longest
 * pattern of the file, not as the path. */
static void way_go(struct way *w, const radix_node *n, size_t at)
{
    str path = w->s->r->path;
    for (;;) {
        const spot *here = n->item;
        if (here && at == path.n) {
            way_offer(w, &here->exact, true);
        }
        if (here && here->prefix.n && at_border(path, at)) {
            way_offer(w, &here->prefix, false);
        }
        const radix_node *kid = radix_enter(&w->t->segments, n, str_from(path, at));
        if (kid && n->wild) {
            way_go(w, kid, at + kid->label.n);
        }
        if (n->wild) {
            way_wild(w, n->wild, at);
            return;
        }
        if (!kid) {
            return;
        }
        at += kid->label.n;
        n = kid;
    }
}

static const route *find_segments(struct search *s, const route_table *t)
{
    struct way w;
    w.s = s;
    w.t = t;
    w.best = NULL;
    w.best_score = -1;
    w.n = 0; /* params are written before they are read */
    way_go(&w, t->segments.root, 0);
    return w.best;
}

static const spot *deepest(const radix *tree, str path)
{
    const radix_node *n = radix_walk(tree, path);
    return n ? n->item : NULL;
}

static const route *find(const route_table *t, struct search *s)
{
    str path = s->r->path;
    const spot *plain = deepest(&t->plain, path);
    const route *rt = NULL;
    if (plain && plain->node->depth == path.n) {
        rt = first_accepted(s, &plain->exact);
        rt = rt ? rt : first_accepted(s, &plain->slash);
    }
    if (!rt && t->has_segments) {
        rt = find_segments(s, t);
    }
    if (!rt && route_regexes_has_any(t->regexes)) {
        rt = find_regex(s, t->regexes);
    }
    if (!rt && !s->failed) {
        rt = find_prefix(s, plain);
    }
    return rt;
}

const route *route_find(const route_table *t, req *r, uint32_t *allowed)
{
    struct search s = {.r = r};
    r->captures = NULL;
    r->nparams = 0;
    const route *rt = find(t, &s);
    if (UNLIKELY(s.failed)) {
        *allowed = ROUTE_FAILED;
        return NULL;
    }
    *allowed = rt ? 0 : s.allow;
    return rt;
}

const route *route_named(const struct site *s, str name)
{
    for (int i = 0; i < s->c->routes.n; i++) {
        if (s->routes[i].c->match == CONF_MATCH_NAMED && str_eq(s->routes[i].c->pattern, name)) {
            return &s->routes[i];
        }
    }
    return NULL;
}
