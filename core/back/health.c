/* health.c — see health.h. */
#include "back/health.h"

#include "back/peer.h"
#include "base/log.h"
#include "base/rand.h"
#include "shm/peers.h"

enum { SLOW_FLOOR = 5 /* percent of its share that a peer gets at once */ };

/* Chances grow with the time since it came back; every method of balancing is served by that. */
static bool has_turn(const peer *p, int64_t now_ms)
{
    int64_t all = p->g->own.slow_start, gone = now_ms - p->st->recovered_at_ms;
    if (gone >= all) {
        return true;
    }
    int64_t percent = gone * 100 / all;
    return rand_below(100) < (uint32_t)(percent > SLOW_FLOOR ? percent : SLOW_FLOOR);
}

bool health_allows(const peer *p, uint32_t flags, int64_t now_ms)
{
    if (p->g->lenient) {
        return true;
    }
    if ((flags & PEER_SICK) || ((flags & PEER_OUTLIER) && now_ms < p->st->outlier_until_ms)) {
        return false;
    }
    return !(flags & PEER_SLOW) || has_turn(p, now_ms);
}

void health_recovered(peer *p, int64_t now_ms)
{
    if (p->g->own.slow_start > 0) {
        p->st->recovered_at_ms = now_ms;
        peer_flag(p, PEER_SLOW, 0);
    }
}

/* ---- outliers */

/* Mean of the other peers' last windows; 0: there is none to compare with. */
static uint64_t mean_of_others(const peer *p)
{
    const struct tier *t = &p->g->tiers[p->backup];
    uint64_t sum = 0, n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t mean = t->v[i]->st->mean_us;
        if (t->v[i] != p && mean) {
            sum += mean;
            n++;
        }
    }
    return n ? sum / n : 0;
}

static bool may_go_out(const peer *p)
{
    const struct tier *t = &p->g->tiers[p->backup];
    int64_t out = 1;
    for (uint32_t i = 0; i < t->n; i++) {
        out += t->v[i] != p && (t->v[i]->st->flags & (PEER_OUTLIER | PEER_SICK)) != 0;
    }
    return t->n > 1 && out * 100 <= p->g->own.outlier_share * (int64_t)t->n;
}

static void put_out(peer *p, const char *why, uint32_t errors, uint32_t samples, int64_t now_ms)
{
    const struct conf_upstream *c = &p->g->own;
    peer_state *st = p->st;
    st->ejections++;
    int64_t out = c->outlier_out * st->ejections;
    out = out < c->outlier_out_max ? out : c->outlier_out_max;
    st->outlier_until_ms = now_ms + out;
    peer_flag(p, PEER_OUTLIER, PEER_SLOW);
    log_warn("upstream %.*s: peer %s out for %lld ms: %s (%u of %u failed, %u us to the head)",
             STR_ARG(p->g->name), p->text, (long long)out, why, errors, samples, st->mean_us);
}

/* The window is over: is the peer worse than the rest? */
static void judge(peer *p, int64_t now_ms)
{
    const struct conf_upstream *c = &p->g->own;
    peer_state *st = p->st;
    uint32_t n = st->samples, bad = st->errors, good = n - bad;
    bool enough = n >= (uint32_t)c->outlier_requests;
    if (good && enough) {
        uint64_t mean = st->latency_us / good;
        st->mean_us = mean < UINT32_MAX ? (uint32_t)mean : UINT32_MAX;
    }
    st->samples = st->errors = 0;
    st->latency_us = 0;
    st->sample_at_ms = now_ms;
    if (!enough || !may_go_out(p)) {
        return;
    }
    uint64_t others = c->outlier_latency ? mean_of_others(p) : 0;
    if (c->outlier_errors && (uint64_t)bad * 100 >= (uint64_t)c->outlier_errors * n) {
        put_out(p, "errors", bad, n, now_ms);
    } else if (others && good && (uint64_t)st->mean_us * 100 > others * (uint64_t)c->outlier_latency) {
        put_out(p, "slow", bad, n, now_ms);
    } else if (st->ejections) {
        st->ejections--;
    }
}

static void sample(peer *p, const struct peer_outcome *o, int64_t now_ms)
{
    peer_state *st = p->st;
    bool bad = o->failed || o->status >= 500;
    peer_lock(p);
    if ((st->flags & PEER_OUTLIER) && now_ms >= st->outlier_until_ms) {
        peer_flag(p, 0, PEER_OUTLIER);
        health_recovered(p, now_ms);
        st->samples = st->errors = 0;
        st->latency_us = 0;
        st->sample_at_ms = now_ms;
        st->mean_us = 0;
        log_notice("upstream %.*s: peer %s back after it was an outlier", STR_ARG(p->g->name),
                   p->text);
    }
    st->sample_at_ms = st->sample_at_ms ? st->sample_at_ms : now_ms;
    st->samples++;
    st->errors += bad;
    st->latency_us += bad ? 0 : (uint64_t)(o->header_us > 0 ? o->header_us : 0);
    if (now_ms - st->sample_at_ms >= p->g->own.outlier_window) {
        judge(p, now_ms);
    }
    peer_unlock(p);
}

void health_seen(peer *p, const struct peer_outcome *o, int64_t now_ms)
{
    const struct conf_upstream *c = &p->g->own;
    if (c->balance == CONF_BALANCE_TIME ||
        (c->balance == CONF_BALANCE_RANDOM && c->balance_by != CONF_BY_CONNS)) {
        time_ended(p, o, now_ms);
    }
    if (c->outlier_window > 0) {
        sample(p, o, now_ms);
    }
    if ((p->st->flags & PEER_SLOW) && now_ms - p->st->recovered_at_ms >= c->slow_start) {
        peer_flag(p, 0, PEER_SLOW);
    }
}

void health_apply(group *g)
{
    const struct conf_upstream *c = &g->own;
    g->watches = c->outlier_window > 0 || c->slow_start > 0 || c->check != CONF_CHECK_OFF || c->balance == CONF_BALANCE_TIME ||
                 (c->balance == CONF_BALANCE_RANDOM && c->balance_by != CONF_BY_CONNS);
    LIST_EACH(it, &g->peers)
    {
        peer *p = list_item(it, peer, node);
        peer_flag(p, 0, (c->outlier_window > 0 ? 0 : PEER_OUTLIER) | (c->slow_start > 0 ? 0 : PEER_SLOW));
    }
}
