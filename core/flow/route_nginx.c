/* route_nginx.c — see route_nginx.h. Each level has one tree of exact paths and prefixes and one
 * set of regexes. */
#include "flow/route_nginx.h"

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/radix.h"
#include "flow/req.h"
#include "flow/route_regex.h"

#include <stdio.h>

/* What hangs on a node of a level's tree. */
typedef struct place {
    radix_node *node;
    struct place *next; /* all places of a level, while building */
    const route *exact, *prefix, *slash;
    const struct place *above; /* the nearest with a prefix */
} place;

typedef struct level {
    radix tree;
    place *places;
    route_regexes *regexes;
} level;

struct route_nginx {
    level top;
    level **inside; /* by position of the route; NULL: nothing is nested in it */
    struct route *routes;
    int n;
};

/* ---- building */

static const char *label_of(const route *rt)
{
    return rt->c->label.n ? rt->c->label.p : "route";
}

static void level_init(level *lv, pool *p)
{
    *lv = (level){.regexes = route_regexes_new(p)};
    radix_init(&lv->tree, p, false);
}

static place *place_of(level *lv, str path)
{
    radix_node *n = radix_put(&lv->tree, NULL, path);
    if (!n->item) {
        place *at = pool_zalloc(lv->tree.pool, sizeof *at);
        at->node = n;
        at->next = lv->places;
        lv->places = at;
        n->item = at;
    }
    return n->item;
}

static int level_add(level *lv, route *rt, char *err, size_t cap)
{
    str pattern = rt->c->pattern;
    if (rt->c->match == CONF_MATCH_REGEX) {
        return route_regexes_add(lv->regexes, rt, err, cap);
    }
    place *at = place_of(lv, pattern);
    const route **slot = rt->c->match == CONF_MATCH_EXACT ? &at->exact : &at->prefix;
    if (*slot) {
        snprintf(err, cap, "%s: duplicate location \"%.*s\"", label_of(rt), STR_ARG(pattern));
        return ERR_CONF;
    }
    *slot = rt;
    if (rt->c->slash_redirect && pattern.n > 1 && pattern.p[pattern.n - 1] == '/') {
        place_of(lv, str_of(pattern.p, pattern.n - 1))->slash = rt;
    }
    return 0;
}

static void level_seal(level *lv)
{
    radix_seal(&lv->tree);
    route_regexes_seal(lv->regexes);
    for (place *at = lv->places; at; at = at->next) {
        const radix_node *up = at->node->up;
        const place *above = up && up->near_item ? up->near_item->item : NULL;
        while (above && !above->prefix) {
            up = above->node->up;
            above = up && up->near_item ? up->near_item->item : NULL;
        }
        at->above = above;
    }
}

static bool has_path(const route *rt)
{
    return rt->c->match == CONF_MATCH_EXACT || rt->c->match == CONF_MATCH_PREFIX ||
           rt->c->match == CONF_MATCH_REGEX;
}

/* The level that a route stands on: inside the nearest route around it that a path can find. */
static level *level_around(route_nginx *t, const route *rt, pool *p)
{
    int parent = rt->c->parent;
    if (parent < 0 || parent >= t->n || !has_path(&t->routes[parent])) {
        return &t->top;
    }
    if (!t->inside[parent]) {
        t->inside[parent] = pool_alloc(p, sizeof(level));
        level_init(t->inside[parent], p);
    }
    return t->inside[parent];
}

route_nginx *route_nginx_new(route *routes, int n, pool *p, char *err, size_t errcap)
{
    route_nginx *t = pool_zalloc(p, sizeof *t);
    t->routes = routes;
    t->n = n;
    t->inside = pool_zalloc(p, sizeof *t->inside * (size_t)(n ? n : 1));
    level_init(&t->top, p);
    for (int i = 0; i < n; i++) {
        routes[i].rank = (uint32_t)i;
        if (has_path(&routes[i]) &&
            level_add(level_around(t, &routes[i], p), &routes[i], err, errcap) < 0) {
            return NULL;
        }
    }
    level_seal(&t->top);
    for (int i = 0; i < n; i++) {
        if (t->inside[i]) {
            level_seal(t->inside[i]);
        }
    }
    return t;
}

/* ---- searching */

/* What one level says. */
enum found { FOUND_NONE, FOUND_SOME, FOUND_LAST };

struct search {
    const route_nginx *t;
    req *r;
    const route *best;
    bool failed;
};

static enum found find_static(struct search *s, const level *lv)
{
    str path = s->r->path;
    const radix_node *n = radix_walk(&lv->tree, path);
    const place *at = n ? n->item : NULL;
    if (!at) {
        return FOUND_NONE;
    }
    if (at->node->depth == path.n && (at->exact || (at->slash && !at->prefix))) {
        s->best = at->exact ? at->exact : at->slash;
        return FOUND_LAST;
    }
    at = at->prefix ? at : at->above;
    if (!at) {
        return FOUND_NONE;
    }
    s->best = at->prefix;
    return FOUND_SOME;
}

static void take_captures(req *r, const regex_match *m)
{
    r->captures = pool_alloc(&r->pool, sizeof *m);
    r->captures->n = m->n;
    memcpy(r->captures->at, m->at, sizeof m->at[0] * 2 * (size_t)m->n);
    r->capture_subject = r->path;
}

static const route *find_regex(struct search *s, const level *lv)
{
    regex_match m;
    struct regex_walk w;
    uint32_t from = 0;
    if (!route_regexes_has_any(lv->regexes) ||
        !route_regexes_walk(lv->regexes, s->r->path, &w)) {
        return NULL;
    }
    for (const route *rt; (rt = route_regexes_next(&w, from)) != NULL; from = rt->rank + 1) {
        int rc = regex_exec(rt->re, s->r->path, 0, &m);
        if (rc < 0) {
            log_error("route %s: regex failed on the path: %s", label_of(rt), err_text(rc));
            s->failed = true;
            return NULL;
        }
        if (rc == 1) {
            take_captures(s->r, &m);
            return rt;
        }
    }
    return NULL;
}

/* Deep as the configuration nests, not as the path. */
static enum found find(struct search *s, const level *lv)
{
    enum found found = find_static(s, lv);
    bool no_regex = false;
    if (found == FOUND_SOME) {
        const level *inside = s->t->inside[s->best->rank];
        no_regex = s->best->c->no_regex;
        if (inside && find(s, inside) == FOUND_LAST) {
            found = FOUND_LAST;
        }
    }
    if (found == FOUND_LAST || no_regex || s->failed) {
        return found;
    }
    const route *rt = find_regex(s, lv);
    if (!rt) {
        return found;
    }
    s->best = rt;
    const level *inside = s->t->inside[rt->rank];
    if (inside) {
        (void)find(s, inside);
    }
    return FOUND_LAST;
}

const route *route_nginx_find(const route_nginx *t, req *r, bool *failed)
{
    struct search s = {.t = t, .r = r};
    (void)find(&s, &t->top);
    *failed = s.failed;
    return s.failed ? NULL : s.best;
}
