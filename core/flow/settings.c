/* settings.c — see settings.h. */
#include "flow/settings.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/exchange.h"
#include "flow/expires.h"
#include "flow/files.h"
#include "flow/filter_charset.h"
#include "flow/filter_compress.h"
#include "flow/filter.h"
#include "flow/filter_replace.h"
#include "flow/guard.h"
#include "flow/mime.h"
#include "flow/plan_way.h"
#include "flow/recode.h"
#include "flow/secure_link.h"

#include <stdio.h>

void settings_compile_shared(const struct settings_args *a)
{
    plan *p = a->plan;
    const struct conf_mimes *c = &p->conf->g.mimes;
    p->mimes = pool_zalloc(&p->pool, sizeof *p->mimes * (size_t)(c->n ? c->n : 1));
    for (int i = 0; i < c->n; i++) {
        p->mimes[i] = mime_new(&c->v[i], &p->pool);
    }
    p->recodes = recodes_new(&p->conf->g.charmaps, &p->pool);
}

int settings_compile(const struct settings_args *a, route *rt)
{
    pool *p = &a->plan->pool;
    const struct files_args files = {rt, p, a->err, a->errcap};
    rt->mime = rt->c->mime >= 0 ? a->plan->mimes[rt->c->mime] : NULL;
    int rc = files_compile(&files, &rt->files);
    rc = rc ? rc : expires_compile(rt, p, &rt->expires, a->err, a->errcap);
    rc = rc ? rc : filter_compress_compile(rt, p, &rt->compress, a->err, a->errcap);
    rc = rc ? rc : filter_charset_compile(a->plan, rt, &rt->charset, a->err, a->errcap);
    rc = rc ? rc : filter_replace_compile(a->plan, rt, &rt->replace, a->err, a->errcap);
    rc = rc ? rc : secure_link_compile(a->plan, rt, &rt->secure, a->err, a->errcap);
    if (rc == 0 && rt->c->exchange.n) {
        char why[300] = "";
        rt->exchange = exchange_new(a->plan, rt, why, sizeof why);
        if (!rt->exchange) {
            snprintf(a->err, a->errcap, "%s: %s", rt->c->label.n ? rt->c->label.p : "route", why);
            rc = ERR_CONF;
        }
    }
    rt->filters = rc ? 0 : filter_mask(rt);
    if (rc == 0 && rt->c->guard.n) {
        struct guard_args way = {&rt->c->guard.v[0], rt, a->plan->zones, p, a->err, a->errcap};
        rc = guard_compile(&way, &rt->guard);
    }
    return rc ? rc : plan_way(rt->site, rt, p, a->err, a->errcap);
}
