/* limits.c — the limit step: how often, and how many at once.
 *
 * Order and accounting are nginx's. Several rates are looked at first and counted only when all of
 * them let the request pass; the longest of their delays is waited for. A request is counted once,
 * however often it is routed. An empty key is not counted. */
#include "base/clock.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/guard.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/tmpl.h"
#include "shm/limit.h"
#include "shm/stats.h"

enum { RATE_KEY_MAX = 65535, CONN_KEY_MAX = 255, LIMITS_MAX = 16, FORCED = 1000000 };

static enum log_level level_of(const struct conf_limit *c, bool refused)
{
    int level = refused || c->level <= LOG_INFO_ ? c->level : c->level - 1;
    return (enum log_level)level;
}

/* How far the key is ahead of its rate, in thousandths of a request. */
static int64_t excess_of(const limit_rule *l, const limit_result *res)
{
    return (res->ahead_us * 1000 + l->emission_us - 1) / l->emission_us;
}

static int add_retry_after(req *r, int64_t us)
{
    str v = pool_printf(&r->pool, "%lld", (long long)((us + 999999) / 1000000));
    return headers_set(&r->res.h, STR("Retry-After"), v);
}

static int refuse(req *r, const struct conf_limit *c, int64_t retry_us)
{
    stats_add(STAT_LIMITED, 1);
    int to = error_answer(r, (int)c->status);
    int rc = c->retry_after && retry_us >= 0 && to == (STEP_JUMP | STEP_REPLY) ? add_retry_after(r, retry_us) : 0;
    return rc < 0 ? rc : to;
}

/* -- rates */

struct asked {
    const limit_rule *rule;
    str key;
    limit_result res;
};

/* Keys of the limits that count this request. */
static int collect(req *r, const limit_rule *rules, int n, size_t key_max, struct asked *to)
{
    int found = 0;
    for (int i = 0; i < n && found < LIMITS_MAX; i++) {
        str key = tmpl_eval(rules[i].key, r);
        if (key.n > key_max) {
            req_log(r, LOG_ERROR_, "the value of the \"%.*s\" key is more than %zu bytes",
                    STR_ARG(rules[i].c->key), key_max);
        } else if (key.n) {
            to[found++] = (struct asked){.rule = &rules[i], .key = key};
        }
    }
    return found;
}

static int ask(struct asked *a, bool dry, bool forced)
{
    const struct conf_limit *c = a->rule->c;
    limit_ask q = {.emission_us = a->rule->emission_us,
                   .burst = forced ? FORCED : (uint32_t)c->burst,
                   .cost = 1,
                   .now_us = clock_us() / 1000 * 1000, /* whole milliseconds, as they are logged */
                   .dry = dry};
    return limit_rate(a->rule->zone->rates, a->key, &q, &a->res);
}

static int64_t delay_us(const struct asked *a)
{
    const struct conf_limit *c = a->rule->c;
    int64_t free = c->delay * a->rule->emission_us;
    return c->delay < 0 || a->res.ahead_us <= free ? 0 : a->res.ahead_us - free;
}

static int refuse_rate(req *r, const struct asked *a)
{
    const struct conf_limit *c = a->rule->c;
    int64_t excess = excess_of(a->rule, &a->res);
    req_log(r, level_of(c, true), "limiting requests%s, excess: %lld.%03d by zone \"%.*s\"",
            c->dry_run ? ", dry run" : "", (long long)(excess / 1000), (int)(excess % 1000),
            STR_ARG(a->rule->zone->c->name));
    guard_of(r)->rate_status = c->dry_run ? GUARD_REJECTED_DRY_RUN : GUARD_REJECTED;
    return c->dry_run ? STEP_NEXT : refuse(r, c, a->res.retry_us);
}

static int delay(req *r, const struct asked *a, int64_t us)
{
    const struct conf_limit *c = a->rule->c;
    int64_t excess = excess_of(a->rule, &a->res);
    struct guard_state *st = guard_of(r);
    req_log(r, level_of(c, false), "delaying request%s, excess: %lld.%03d, by zone \"%.*s\"",
            c->dry_run ? ", dry run" : "", (long long)(excess / 1000), (int)(excess % 1000),
            STR_ARG(a->rule->zone->c->name));
    if (c->dry_run) {
        st->rate_status = GUARD_DELAYED_DRY_RUN;
        return STEP_NEXT;
    }
    st->rate_status = GUARD_DELAYED;
    st->delaying = true;
    return req_wait_here(r, REQ_WAIT_TURN, us < 1000 ? 1 : us / 1000, 0);
}

/* The last one is counted where it is asked; those before it only when it let the request pass. */
static int run_rates(req *r, const guard *g)
{
    struct asked asked[LIMITS_MAX];
    int n = collect(r, g->rates, g->nrates, RATE_KEY_MAX, asked);
    for (int i = 0; i < n; i++) {
        if (ask(&asked[i], i < n - 1, false) == LIMIT_REFUSED) {
            return refuse_rate(r, &asked[i]);
        }
    }
    if (!n) {
        return STEP_NEXT;
    }
    const struct asked *slowest = &asked[n - 1];
    for (int i = n - 2; i >= 0; i--) {
        (void)ask(&asked[i], false, true);
        slowest = delay_us(&asked[i]) > delay_us(slowest) ? &asked[i] : slowest;
    }
    int64_t us = delay_us(slowest);
    if (us >= 1000) {
        return delay(r, slowest, us);
    }
    guard_of(r)->rate_status = GUARD_PASSED;
    return STEP_NEXT;
}

/* -- connections */

struct held {
    limit_conn *table;
    uint32_t slot;
};

static void let_go(void *arg)
{
    struct held *h = arg;
    if (h->table) {
        limit_conn_release(h->table, h->slot, zones_worker());
        h->table = NULL;
    }
}

static int refuse_conn(req *r, const limit_rule *l, int rc)
{
    const struct conf_limit *c = l->c;
    req_log(r, level_of(c, true), "limiting connections%s by zone \"%.*s\"%s",
            c->dry_run ? ", dry run," : "", STR_ARG(l->zone->c->name),
            rc == ERR_MEM ? ", which is full" : "");
    guard_of(r)->conn_status = c->dry_run ? GUARD_REJECTED_DRY_RUN : GUARD_REJECTED;
    return c->dry_run ? STEP_NEXT : refuse(r, c, c->retry_after ? 1000000 : -1);
}

/* What is taken is held until the request is over; a refusal lets go of all at once. */
static int run_conns(req *r, const guard *g)
{
    struct asked asked[LIMITS_MAX];
    struct held *held[LIMITS_MAX];
    int n = collect(r, g->conns, g->nconns, CONN_KEY_MAX, asked);
    for (int i = 0; i < n; i++) {
        const limit_rule *l = asked[i].rule;
        uint32_t slot;
        int rc = limit_conn_take(l->zone->conns, asked[i].key, (uint32_t)l->c->most, zones_worker(),
                                 &slot);
        if (rc < 0) {
            while (i > 0) {
                let_go(held[--i]);
            }
            return refuse_conn(r, l, rc);
        }
        held[i] = pool_alloc(&r->pool, sizeof *held[i]);
        *held[i] = (struct held){l->zone->conns, slot};
        r->holds_slot = true;
        pool_on_fini(&r->pool, let_go, held[i]);
        guard_of(r)->conn_status = GUARD_PASSED;
    }
    return STEP_NEXT;
}

int step_limit(req *r)
{
    const guard *g = r->route->guard;
    if (LIKELY(!g)) {
        return STEP_NEXT;
    }
    struct guard_state *st = r->guard;
    guard_know_client(r);
    if (st && st->delaying) {
        if (!r->timed_out) {
            return req_wait_here(r, REQ_WAIT_TURN, 1, 0);
        }
        if (r->total_expired) {
            return ERR_TIMEOUT;
        }
        st->delaying = r->timed_out = false;
        r->armed_for = REQ_WAIT_NONE;
    } else if (g->nrates && !(st && st->rate_status)) {
        int rc = run_rates(r, g);
        if (rc != STEP_NEXT) {
            return rc;
        }
    }
    return g->nconns && !(r->guard && r->guard->conn_status) ? run_conns(r, g) : STEP_NEXT;
}
