/* plan_way.c — see plan_way.h. */
#include "flow/plan_way.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/referer.h"
#include "flow/reroute.h"
#include "flow/rewrite.h"
#include "flow/uservar.h"

static int compile_pages(route *rt, pool *p, char *err, size_t errcap)
{
    const struct conf_route *c = rt->c;
    if (!c->error_pages.n) {
        return 0;
    }
    rt->error_pages = error_pages_new(&c->error_pages, rt, p, err, errcap);
    return rt->error_pages ? 0 : ERR_CONF;
}

static int compile_referers(route *rt, pool *p, char *err, size_t errcap)
{
    const struct conf_route *c = rt->c;
    if (!c->referers.n && !c->referer_hosts.n) {
        return 0;
    }
    rt->referers = referers_new(c, p, err, errcap);
    return rt->referers ? 0 : ERR_CONF;
}

int plan_way(site *s, route *rt, pool *p, char *err, size_t errcap)
{
    if (rt->c->rewrites.n) {
        struct rewrite_making w = {rt, s->routes, s->c->routes.n, p, err, errcap};
        rt->rewrites = rewrites_new(&w, &rt->c->rewrites);
        if (!rt->rewrites) {
            return ERR_CONF;
        }
    }
    capture *named = rt->re ? capture_of(rt->re, p) : NULL;
    rt->capture = named && named->n ? named : NULL;
    int rc = compile_pages(rt, p, err, errcap);
    return rc ? rc : compile_referers(rt, p, err, errcap);
}
