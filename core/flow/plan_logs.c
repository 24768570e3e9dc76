/* plan_logs.c — see plan_logs.h. */
#include "flow/plan_logs.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/access_log.h"
#include "flow/req_log.h"

void plan_logs_route(plan *p, route *rt)
{
    rt->nlogs = rt->c->access_logs.n;
    rt->logs = pool_zalloc(&p->pool, sizeof *rt->logs * (size_t)(rt->nlogs ? rt->nlogs : 1));
    rt->errors = req_log_set(&p->conf->g, rt->c, &p->pool);
}

int plan_logs_check(plan *p, char *err, size_t errcap)
{
    const struct conf_logs *c = &p->conf->g.logs;
    int rc = 0;
    p->logs = pool_zalloc(&p->pool, sizeof *p->logs * (size_t)(c->n ? c->n : 1));
    for (int i = 0; rc == 0 && i < c->n; i++) {
        rc = access_log_check(&c->v[i], err, errcap);
    }
    return rc;
}

int plan_logs_open(plan *p, loop *l, char *err, size_t errcap)
{
    const struct conf_logs *c = &p->conf->g.logs;
    for (int i = 0; i < c->n; i++) {
        p->logs[i] = access_log_open(l, &c->v[i], &p->pool, err, errcap);
        if (!p->logs[i]) {
            return ERR_CONF;
        }
    }
    return 0;
}

void plan_logs_close(const plan *p, struct access_log **logs)
{
    for (int i = 0; i < p->conf->g.logs.n; i++) {
        if (logs[i]) {
            access_log_close(logs[i]);
            logs[i] = NULL;
        }
    }
}

void plan_logs_bind(plan *p, route *rt)
{
    for (int i = 0; i < rt->nlogs; i++) {
        rt->logs[i] = p->logs[rt->c->access_logs.v[i]];
    }
}
