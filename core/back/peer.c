/* peer.c — see peer.h. */
#include "back/peer.h"

#include "back/origin.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "tls/stream_tls.h"

#include <stdlib.h>

peer *peer_new(origin *o, const addr *at)
{
    group *g = o->g;
    peer *p = calloc(1, sizeof *p);
    REQUIRE(p != NULL);
    p->g = g;
    p->origin = o;
    p->refs = 1;
    p->at = *at;
    if (at->unix_path) {
        p->unix_path = strdup(at->unix_path);
        REQUIRE(p->unix_path != NULL);
        p->at.unix_path = p->unix_path;
    }
    p->text_n = (uint32_t)addr_print(&p->at, p->text, sizeof p->text);
    p->id_hash = hash_keyed(str_of(p->text, p->text_n), 0, 0);
    idle_pool_init(&p->idle, (uint32_t)g->own.keepalive_idle, g->own.keepalive_timeout);
    list_push_back(&g->peers, &p->node);
    return p;
}

void peer_retire(peer *p)
{
    p->gone = true;
    p->origin = NULL;
    list_remove(&p->node);
    idle_pool_fini(&p->idle);
    peer_unref(p);
}

peer *peer_ref(peer *p)
{
    p->refs++;
    return p;
}

void peer_unref(peer *p)
{
    if (!p || --p->refs) {
        return;
    }
    REQUIRE(p->gone);
    if (p->tls_session) {
        stream_tls_session_free(p->tls_session);
    }
    free(p->unix_path);
    free(p);
}

bool peer_is_eligible(const peer *p, int64_t now_ms)
{
    if (p->gone || p->down || (p->max_conns && p->in_flight >= (uint32_t)p->max_conns)) {
        return false;
    }
    if (LIKELY(!p->ejected_at_ms)) {
        return true;
    }
    bool waiting = now_ms - p->ejected_at_ms < p->window_ms;
    bool on_trial = p->trial_at_ms && now_ms - p->trial_at_ms < p->window_ms;
    return !waiting && !on_trial;
}

peer *peer_take(peer *p, int64_t now_ms)
{
    if (UNLIKELY(p->ejected_at_ms)) {
        p->trial_at_ms = now_ms;
    }
    p->in_flight++;
    p->attempts++;
    return peer_ref(p);
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
        out += t->v[i] != p && t->v[i]->ejected_at_ms;
    }
    return out * 100 <= g->own.panic_percent * (int64_t)t->n;
}

static void on_failure(peer *p, int64_t now_ms)
{
    p->failures++;
    p->failed_at_ms = now_ms;
    if (!p->max_fails) {
        return;
    }
    p->effective -= p->weight / p->max_fails;
    p->effective = p->effective > 0 ? p->effective : 0;
    if (p->ejected_at_ms) {
        if (p->trial_at_ms) { /* the trial failed: another window out */
            p->ejected_at_ms = now_ms;
            p->trial_at_ms = 0;
        }
        return;
    }
    if (!p->window_at_ms || now_ms - p->window_at_ms > p->window_ms) {
        p->window_at_ms = now_ms;
        p->fails = 0;
    }
    p->fails++;
    if (p->fails >= (uint32_t)p->max_fails && may_eject(p)) {
        p->ejected_at_ms = now_ms;
        p->trial_at_ms = 0;
        log_warn("upstream %.*s: peer %s out of rotation for %lld ms after %u failures",
                 STR_ARG(p->g->name), p->text, (long long)p->window_ms, p->fails);
    }
}

static void on_success(peer *p)
{
    if (p->ejected_at_ms && p->trial_at_ms) {
        p->ejected_at_ms = 0;
        p->trial_at_ms = 0;
        p->window_at_ms = 0;
        p->fails = 0;
        log_notice("upstream %.*s: peer %s back in rotation", STR_ARG(p->g->name), p->text);
    }
}

void peer_done(peer *p, bool failed, int64_t now_ms)
{
    REQUIRE(p->in_flight > 0);
    p->in_flight--;
    if (UNLIKELY(failed)) {
        on_failure(p, now_ms);
    } else if (UNLIKELY(p->ejected_at_ms)) {
        on_success(p);
    }
}
