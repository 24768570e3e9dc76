/* balance_time.c — least expected time: mean response time times the requests in flight, by weight.
 *
 * As nginx does it, for its dialect: times are smoothed (a twentieth of each new one), taken in
 * steps of 20 ms so that peers about as fast take turns, and equal above 5 s; a peer that nobody
 * asked for a while gets another chance by halving. `inflight` adds what requests that still wait
 * have waited so far. Only successful attempts count, or failing fast would look good. */
#include "back/balance.h"
#include "back/health.h"
#include "back/peer.h"
#include "base/clock.h"
#include "shm/peers.h"

enum { STEP_MS = 20, MOST_MS = 5000, PATIENCE_MS = 1000 };

static void smooth(uint32_t *mean, int64_t v)
{
    v = v < 0 ? 0 : v < UINT32_MAX ? v : UINT32_MAX;
    *mean = *mean ? (uint32_t)(0.5 + (double)v * 0.05 + (double)*mean * 0.95) : (uint32_t)v;
}

static int64_t expected_of(const choice *c, peer *p)
{
    const struct conf_upstream *u = &c->g->own;
    peer_state *st = p->st;
    int64_t now = c->args->now_ms;
    int64_t t = u->balance_by == CONF_BY_LAST_BYTE ? st->response_time : st->header_time;
    int64_t quiet = now - st->window_at_ms;
    if (quiet > p->window_ms) {
        int64_t halves = quiet / (p->window_ms + PATIENCE_MS);
        t = halves < 32 ? t >> halves : 0;
    }
    if (u->balance_inflight && st->waiting) {
        t = t > st->waiting_avg ? t : st->waiting_avg;
    }
    t = t > MOST_MS ? MOST_MS : t + STEP_MS - t % STEP_MS;
    return t * (1 + (int64_t)peer_in_flight(p));
}

static void note_waiting(peer *p, int64_t now)
{
    peer_state *st = p->st;
    if (st->waiting) {
        smooth(&st->waiting_avg, st->waiting_sum / st->waiting + now - st->waiting_at_ms);
    }
}

peer *balance_time(const choice *c)
{
    peer *best = NULL;
    int64_t least = 0;
    bool alone = true;
    for (uint32_t i = 0; i < c->tier->n; i++) {
        peer *p = c->tier->v[i];
        if (!balance_allows(c, p)) {
            continue;
        }
        note_waiting(p, c->args->now_ms);
        int64_t t = expected_of(c, p);
        if (!best || t * best->weight < least * p->weight) {
            best = p;
            least = t;
            alone = true;
        } else if (t * best->weight == least * p->weight) {
            alone = false;
        }
    }
    if (!best || alone) {
        return best;
    }
    struct turns turns = {.c = c};
    for (uint32_t i = best->index; i < c->tier->n; i++) {
        peer *p = c->tier->v[i];
        if (expected_of(c, p) * best->weight == least * p->weight && balance_allows(c, p)) {
            balance_turn(&turns, p);
        }
    }
    return balance_turned(&turns);
}

int64_t balance_expected(const choice *c, peer *p)
{
    return expected_of(c, p);
}

void time_taken(peer *p, int64_t now_ms)
{
    peer_state *st = p->st;
    if (p->g->own.balance_inflight) {
        st->waiting_sum += st->waiting ? (now_ms - st->waiting_at_ms) * st->waiting : 0;
        st->waiting_at_ms = now_ms;
        st->waiting++;
    }
    if (now_ms - st->window_at_ms > p->window_ms) {
        st->window_at_ms = now_ms;
    }
}

/* One request less that waits; it had waited for `ms`. */
static void waited(peer *p, int64_t ms, int64_t now)
{
    peer_state *st = p->st;
    if (st->waiting <= 1) {
        st->waiting = 0;
        st->waiting_sum = 0;
        return;
    }
    st->waiting_sum += (now - st->waiting_at_ms) * st->waiting - ms;
    st->waiting_at_ms = now;
    st->waiting--;
}

void time_heard(peer *p, int64_t header_ms, int64_t now_ms)
{
    const struct conf_upstream *c = &p->g->own;
    if (!c->balance_inflight || c->balance_by != CONF_BY_HEADER) {
        return;
    }
    peer_lock(p);
    smooth(&p->st->header_time, header_ms);
    waited(p, header_ms, now_ms);
    peer_unlock(p);
}

void time_ended(peer *p, const struct peer_outcome *o, int64_t now_ms)
{
    const struct conf_upstream *c = &p->g->own;
    bool told = c->balance_inflight && c->balance_by == CONF_BY_HEADER && o->header_us > 0;
    peer_lock(p);
    if (c->balance_inflight && c->balance == CONF_BALANCE_TIME && !told) {
        waited(p, o->total_us / 1000, now_ms);
    }
    if (!o->failed && o->header_us > 0) {
        smooth(&p->st->response_time, o->total_us / 1000);
        if (!told) {
            smooth(&p->st->header_time, o->header_us / 1000);
        }
    }
    peer_unlock(p);
}

void peer_heard(peer *p, int64_t header_us)
{
    if (UNLIKELY(p->g->own.balance == CONF_BALANCE_TIME)) {
        time_heard(p, header_us / 1000, clock_ms());
    }
}
