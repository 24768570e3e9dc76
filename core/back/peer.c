/* peer.c — see peer.h. */
#include "back/peer.h"

#include "back/health.h"
#include "back/origin.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "shm/peers.h"
#include "tls/stream_tls.h"

#include <stdlib.h>

/* The same in every worker: group, address, and which one of several with that address. */
static uint64_t key_of(const peer *p)
{
    uint64_t nth = 0;
    LIST_EACH(it, &p->g->peers)
    {
        const peer *other = list_item(it, peer, node);
        if (other == p) {
            break;
        }
        nth += addr_eq(&other->at, &p->at);
    }
    return hash_keyed(p->g->name, p->id_hash, nth);
}

void peer_part(peer *p)
{
    if (p->st == p->own) {
        return;
    }
    *p->own = *p->st;
    p->own->in_flight = p->own_held = *p->held;
    peers_leave(p->g->shared, p->st);
    p->st = p->own;
    p->held = &p->own_held;
}

void peer_join(peer *p)
{
    group *g = p->g;
    uint32_t *held;
    peer_state *st = g->shared ? peers_join(g->shared, key_of(p), &held) : NULL;
    if (st) {
        *held += p->own_held;
        __atomic_add_fetch(&st->in_flight, p->own_held, __ATOMIC_RELAXED);
        p->own_held = 0;
    } else if (g->shared) {
        log_warn("upstream %.*s: no room in shared memory for %s: each worker counts for itself",
                 STR_ARG(g->name), p->text);
    }
    p->st = st ? st : p->own;
    p->held = st ? held : &p->own_held;
}

peer *peer_new(origin *o, const addr *at)
{
    group *g = o->g;
    peer *p = calloc(1, sizeof *p);
    REQUIRE(p != NULL);
    p->own = calloc(1, sizeof *p->own);
    REQUIRE(p->own != NULL);
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
    p->st = p->own;
    p->held = &p->own_held;
    idle_pool_init(&p->idle, (uint32_t)g->own.keepalive_idle, g->own.keepalive_timeout);
    p->idle.total = &g->nidle;
    list_push_back(&g->peers, &p->node);
    peer_join(p);
    return p;
}

void peer_retire(peer *p)
{
    p->gone = true;
    peer_part(p);
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
    free(p->own);
    free(p);
}

void peer_lock(const peer *p)
{
    if (p->st != p->own) {
        peers_lock(p->g->shared);
    }
}

void peer_unlock(const peer *p)
{
    if (p->st != p->own) {
        peers_unlock(p->g->shared);
    }
}

void peer_flag(peer *p, uint32_t set, uint32_t clear)
{
    if (clear) {
        __atomic_and_fetch(&p->st->flags, ~clear, __ATOMIC_RELAXED);
    }
    if (set) {
        __atomic_or_fetch(&p->st->flags, set, __ATOMIC_RELAXED);
    }
}

void peer_bring_up(peer *p, int64_t now_ms)
{
    bool out = p->st->flags & (PEER_FAILED | PEER_SICK | PEER_OUTLIER);
    peer_lock(p);
    passive_reset(p);
    p->st->streak = p->st->ejections = 0;
    p->st->outlier_until_ms = 0;
    p->st->failed_at_ms = 0;
    peer_flag(p, 0, PEER_SICK | PEER_OUTLIER);
    peer_unlock(p);
    if (out) {
        health_recovered(p, now_ms);
    }
}

uint32_t peer_in_flight(const peer *p)
{
    return __atomic_load_n(&p->st->in_flight, __ATOMIC_RELAXED);
}

bool peer_is_eligible(const peer *p, int64_t now_ms)
{
    if (p->gone || p->down || (p->max_conns && peer_in_flight(p) >= (uint32_t)p->max_conns)) {
        return false;
    }
    uint32_t flags = __atomic_load_n(&p->st->flags, __ATOMIC_RELAXED);
    if (LIKELY(!flags)) {
        return true;
    }
    return (!(flags & PEER_FAILED) || passive_allows(p, now_ms)) && health_allows(p, flags, now_ms);
}

peer *peer_take(peer *p, int64_t now_ms)
{
    uint32_t now = __atomic_add_fetch(&p->st->in_flight, 1, __ATOMIC_RELAXED);
    if (UNLIKELY(p->max_conns && now > (uint32_t)p->max_conns)) {
        __atomic_sub_fetch(&p->st->in_flight, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    ++*p->held;
    if (UNLIKELY(p->st->flags & PEER_FAILED)) {
        passive_taken(p, now_ms);
    }
    if (UNLIKELY(p->g->own.balance == CONF_BALANCE_TIME)) {
        time_taken(p, now_ms);
    }
    p->attempts++;
    return peer_ref(p);
}

static void count_out(peer *p)
{
    REQUIRE(*p->held > 0);
    --*p->held;
    __atomic_sub_fetch(&p->st->in_flight, 1, __ATOMIC_RELAXED);
}

bool peer_leave(peer *p)
{
    if (UNLIKELY(p->gone || p->g->watches || (p->st->flags & PEER_FAILED))) { /* gone: its group may be gone too */
        return false;
    }
    count_out(p);
    return true;
}

void peer_done(peer *p, const struct peer_outcome *o, int64_t now_ms)
{
    count_out(p);
    if (UNLIKELY(p->gone)) {
        return; /* its group may be gone too */
    }
    if (UNLIKELY(p->g->watches)) {
        health_seen(p, o, now_ms);
    }
    if (UNLIKELY(o->failed)) {
        p->failures++;
        passive_failed(p, now_ms);
    } else if (UNLIKELY(p->st->flags & PEER_FAILED)) {
        passive_succeeded(p, now_ms);
    }
}
