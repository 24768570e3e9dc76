/* passive.c — passive health: what failures of requests mean for a peer; see peer.h. */
#include "back/health.h"
#include "back/peer.h"
#include "base/log.h"
#include "shm/peers.h"

static bool by_nginx(const peer *p)
{
    return p->g->own.passive == CONF_PASSIVE_NGINX;
}

static bool is_single(const group *g)
{
    return g->npeers <= 1;
}

bool passive_allows(const peer *p, int64_t now_ms)
{
    const peer_state *st = p->st;
    if (by_nginx(p)) {
        return is_single(p->g) || !p->max_fails || st->fails < (uint32_t)p->max_fails ||
               now_ms - st->window_at_ms > p->window_ms;
    }
    if (LIKELY(!st->ejected_at_ms)) {
        return true;
    }
    bool waiting = now_ms - st->ejected_at_ms < p->window_ms;
    bool on_trial = st->trial_at_ms && now_ms - st->trial_at_ms < p->window_ms;
    return !waiting && !on_trial;
}

/* An attempt begins at a peer that has failed. */
void passive_taken(peer *p, int64_t now_ms)
{
    peer_state *st = p->st;
    if (by_nginx(p)) {
        if (now_ms - st->window_at_ms > p->window_ms) {
            st->window_at_ms = now_ms;
        }
    } else if (st->ejected_at_ms) {
        st->trial_at_ms = now_ms;
    }
}

/* Would taking this peer out leave enough? Backups stand in for all primaries. */
static bool may_eject(const peer *p)
{
    const group *g = p->g;
    const struct tier *t = &g->tiers[p->backup];
    if (g->tiers[0].n + g->tiers[1].n <= 1) {
        return false;
    }
    if (!p->backup && g->tiers[1].n) {
        return true;
    }
    int64_t out = 1;
    for (uint32_t i = 0; i < t->n; i++) {
        out += t->v[i] != p && t->v[i]->st->ejected_at_ms;
    }
    return out * 100 <= g->own.panic_percent * (int64_t)t->n;
}

/* Fewer turns from now on, until successes bring them back step by step. */
static void lose_weight(const peer *p, int32_t *effective)
{
    *effective -= p->weight / p->max_fails;
    *effective = *effective > 0 ? *effective : 0;
}

/* True: this failure was the one too many. */
static bool count_by_nginx(peer *p, int64_t now_ms)
{
    peer_state *st = p->st;
    st->fails++;
    st->failed_at_ms = st->window_at_ms = now_ms;
    return st->fails >= (uint32_t)p->max_fails;
}

static bool count_in_window(peer *p, int64_t now_ms)
{
    peer_state *st = p->st;
    st->failed_at_ms = now_ms;
    if (st->ejected_at_ms) {
        if (st->trial_at_ms) { /* the trial failed: another window out */
            st->ejected_at_ms = now_ms;
            st->trial_at_ms = 0;
        }
        return false;
    }
    if (!st->window_at_ms || now_ms - st->window_at_ms > p->window_ms) {
        st->window_at_ms = now_ms;
        st->fails = 0;
    }
    st->fails++;
    if (st->fails < (uint32_t)p->max_fails || !may_eject(p)) {
        return false;
    }
    st->ejected_at_ms = now_ms;
    st->trial_at_ms = 0;
    return true;
}

void passive_failed(peer *p, int64_t now_ms)
{
    bool nginx = by_nginx(p);
    if (!p->max_fails || (nginx && is_single(p->g))) {
        return;
    }
    peer_lock(p);
    lose_weight(p, p->g->joint_turns ? &p->st->effective : &p->effective);
    bool out = nginx ? count_by_nginx(p, now_ms) : count_in_window(p, now_ms);
    uint32_t fails = p->st->fails;
    peer_flag(p, PEER_FAILED, 0);
    peer_unlock(p);
    if (out && nginx) {
        log_warn("upstream server temporarily disabled, upstream: %.*s, server: %s",
                 STR_ARG(p->g->name), p->text);
    } else if (out) {
        log_warn("upstream %.*s: peer %s out of rotation for %lld ms after %u failures",
                 STR_ARG(p->g->name), p->text, (long long)p->window_ms, fails);
    }
}

/* A success after failures. */
void passive_succeeded(peer *p, int64_t now_ms)
{
    peer_state *st = p->st;
    bool nginx = by_nginx(p), back = st->ejected_at_ms != 0;
    if (nginx ? st->failed_at_ms >= st->window_at_ms
              : back ? !st->trial_at_ms : now_ms - st->window_at_ms <= p->window_ms) {
        return;
    }
    peer_lock(p);
    passive_reset(p);
    peer_unlock(p);
    if (!nginx && back) {
        health_recovered(p, now_ms);
        log_notice("upstream %.*s: peer %s back in rotation", STR_ARG(p->g->name), p->text);
    }
}

void passive_reset(peer *p)
{
    p->st->ejected_at_ms = p->st->trial_at_ms = p->st->window_at_ms = 0;
    p->st->fails = 0;
    peer_flag(p, 0, PEER_FAILED);
}
