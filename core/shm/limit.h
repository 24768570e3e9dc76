/* limit.h — request rates (GCRA) and concurrency, counted per key over all workers.
 *
 * Rate: the generic cell rate algorithm keeps one number per key, the theoretical arrival time
 * (TAT) of the next conforming request. emission_us is the time one unit of cost takes to be paid
 * back (rate 10/s = 100000), burst is how many units may come early. All times are microseconds of
 * CLOCK_MONOTONIC (clock_us()).
 *
 * Keys never share a counter: up to 47 bytes are stored and compared; longer ones are compared by
 * two independent keyed 64-bit hashes (128 bits with secrets), length and first bytes.
 *
 * Bounded: sets of eight entries; a new key takes a free or paid-back entry of its set, else the
 * one nearest to being paid back. So a flood of new keys pushes out other light keys first, never
 * the heavy ones it hides behind (which is what plain LRU would do). */
#ifndef SHM_LIMIT_H
#define SHM_LIMIT_H

#include "base/str.h"

#include <stdbool.h>

typedef struct limit limit;
typedef struct seg seg;

enum limit_verdict {
    LIMIT_ALLOWED, /* conforms to the plain rate */
    LIMIT_DELAYED, /* early, but within the burst: allowed now, or at delay_us for who wants it
                      smooth */
    LIMIT_REFUSED, /* beyond the burst; nothing was counted */
};

typedef struct limit_ask {
    int64_t emission_us; /* > 0 */
    uint32_t burst;      /* units beyond the plain rate, >= 0 */
    uint32_t cost;       /* units of this request, usually 1; 0 = nothing is counted */
    int64_t now_us;
    bool dry; /* only look */
} limit_ask;

typedef struct limit_result {
    int64_t
        delay_us; /* wait that makes the traffic smooth; minus n * emission_us = nginx's delay=n */
    int64_t
        retry_us; /* refused: when the same request passes; -1 = never (cost > burst + 1); else 0 */
    int64_t ahead_us;   /* how far the key was ahead of its rate before this request */
    int64_t reset_us;   /* until the quota is whole again (RateLimit: t=) */
    uint32_t remaining; /* units that would pass now (RateLimit: r=) */
} limit_result;

/* Formats a blank segment or attaches. ERR_INVALID: too small (< 4 KiB) or not a limit. 64 bytes a
 * key. */
MUST_USE int limit_open(seg *s, limit **out);
/* Returns an enum limit_verdict; never fails. Fields of `ask` are clamped: emission to
 * 1 us .. 31 days, burst and cost to a million. */
int limit_rate(limit *l, str key, const limit_ask *ask, limit_result *out);
/* Forgets a key. */
void limit_forget(limit *l, str key);

typedef struct limit_status {
    uint32_t entries; /* most keys that fit */
    uint32_t live;    /* keys not yet paid back */
    uint64_t evicted; /* live keys pushed out */
    uint32_t repairs;
} limit_status;
void limit_get_status(limit *l, int64_t now_us, limit_status *out);

/* Concurrency. A slot is one key in use by at least one holder. */
typedef struct limit_conn limit_conn;

/* `workers` = number of board slots (<= 256). ERR_INVALID: too small or another shape. */
MUST_USE int limit_conn_open(seg *s, uint32_t workers, limit_conn **out);
/* One that was formatted already, whatever its shape; ERR_INVALID when it was not. */
MUST_USE int limit_conn_attach(seg *s, limit_conn **out);
/* One more holder of `key` in this worker; *slot is what release wants. Returns the holders now,
 * this one included (> 0); ERR_LIMIT: `max` are there; ERR_MEM: the table is full of keys in use
 * (the caller's policy decides whether that refuses). */
MUST_USE int limit_conn_take(limit_conn *l, str key, uint32_t max, uint32_t worker, uint32_t *slot);
void limit_conn_release(limit_conn *l, uint32_t slot, uint32_t worker);
/* Holders of `key` now. */
uint32_t limit_conn_count(limit_conn *l, str key);
/* The master calls it when a worker is gone: everything it held is released. */
void limit_conn_forget_worker(limit_conn *l, uint32_t worker);

#endif
