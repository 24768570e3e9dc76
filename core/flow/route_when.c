/* route_when.c — see route_when.h. A repeated header holds when any of its fields does; a repeated query parameter counts by its first. That a route is
 * for internal redirects only is one more condition. */
#include "flow/route_when.h"

#include "base/err.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/req.h"
#include "flow/route.h"
#include "flow/route_regex.h"
#include "http/cookie.h"

#include <stdio.h>

/* As in fields.def. */
enum on { ON_HEADER, ON_QUERY, ON_COOKIE };
enum op { OP_PRESENT, OP_EQUALS, OP_REGEX, OP_ABSENT };

struct route_when {
    const struct conf_matcher *c;
    uint16_t token;
    regex *re;
};

int route_when_compile(route *rt, pool *p, char *err, size_t errcap)
{
    rt->nwhen = rt->c->when.n + rt->c->internal;
    rt->when = pool_zalloc(p, sizeof *rt->when * (size_t)(rt->nwhen ? rt->nwhen : 1));
    for (int i = 0; i < rt->c->when.n; i++) {
        struct route_when *w = &rt->when[i];
        w->c = &rt->c->when.v[i];
        w->token = w->c->on == ON_HEADER ? (uint16_t)token_find(w->c->name) : TOKEN_NONE;
        char why[256];
        if (w->c->op == OP_REGEX &&
            !(w->re = route_regex(p, w->c->value, false, why, sizeof why))) {
            snprintf(err, errcap, "%s: when \"%.*s\": %s",
                     rt->c->label.n ? rt->c->label.p : "route", STR_ARG(w->c->name), why);
            return ERR_CONF;
        }
    }
    return 0;
}

/* Here and below: 1, 0, or < 0 when a regex hit its limits. */
static int value_holds(const struct route_when *w, str value)
{
    switch ((enum op)w->c->op) {
    case OP_PRESENT:
        return 1;
    case OP_EQUALS:
        return str_eq(value, w->c->value);
    case OP_REGEX:
        return regex_exec(w->re, value, 0, NULL);
    case OP_ABSENT:
        return 0;
    }
    return 0;
}

static int header_holds(const struct route_when *w, req *r)
{
    const headers *h = &r->in.h;
    const field *f = w->token ? headers_find(h, (enum token)w->token) : headers_get(h, w->c->name);
    if (!f) {
        return w->c->op == OP_ABSENT;
    }
    for (; f; f = headers_next(h, f)) {
        int rc = value_holds(w, f->value);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int query_holds(const struct route_when *w, req *r)
{
    str value;
    if (!r->query.n || !uri_query_get(r->query, w->c->name, &value)) {
        return w->c->op == OP_ABSENT;
    }
    if (w->c->op != OP_PRESENT &&
        (str_find(value, '%', 0) < value.n || str_find(value, '+', 0) < value.n)) {
        value = uri_decode(value, true, &r->pool);
    }
    return value_holds(w, value);
}

static int holds(const struct route_when *w, req *r)
{
    str value;
    switch ((enum on)w->c->on) {
    case ON_HEADER:
        return header_holds(w, r);
    case ON_QUERY:
        return query_holds(w, r);
    case ON_COOKIE:
        return cookie_get(&r->in.h, w->c->name, &value) ? value_holds(w, value)
                                                        : w->c->op == OP_ABSENT;
    }
    return 0;
}

int route_when_holds(const route *rt, req *r)
{
    if (rt->c->internal && !r->internal) {
        return 0;
    }
    for (int i = 0; i < rt->c->when.n; i++) {
        int rc = holds(&rt->when[i], r);
        if (rc <= 0) {
            return rc;
        }
    }
    return 1;
}

static bool has_same(const route *rt, const struct conf_matcher *m)
{
    for (int i = 0; i < rt->c->when.n; i++) {
        const struct conf_matcher *o = rt->when[i].c;
        bool name = m->on == ON_HEADER ? str_ieq(o->name, m->name) : str_eq(o->name, m->name);
        if (o->on == m->on && o->op == m->op && name && str_eq(o->value, m->value)) {
            return true;
        }
    }
    return false;
}

bool route_when_same(const route *a, const route *b)
{
    if (a->nwhen != b->nwhen || a->c->internal != b->c->internal) {
        return false;
    }
    for (int i = 0; i < a->c->when.n; i++) {
        if (!has_same(b, a->when[i].c)) {
            return false;
        }
    }
    return true;
}
