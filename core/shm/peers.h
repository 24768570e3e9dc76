/* peers.h — what the workers know together of upstream peers: requests in flight, failures, who is
 * out of rotation and since when, results of health checks, response times.
 *
 * A table of cells in one segment, found by a key that all workers compute alike. A cell outlives
 * its users: a worker that is replaced finds what its predecessor knew. Requests in flight are
 * counted in all and by worker, so that those of a worker that dies can be taken back.
 *
 * Counters that every request moves are atomic. Everything else changes when something fails or
 * recovers, or in methods that need all of it to agree, and is guarded by the table's lock. `flags`
 * is what a pick looks at: 0 means that there is nothing to consider.
 *
 * One worker leads: it alone does what must not be done by all (health checks). Leadership is a
 * lease that its holder renews and that the master ends when the holder dies. */
#ifndef SHM_PEERS_H
#define SHM_PEERS_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct peers peers;
typedef struct seg seg;

enum {
    PEER_FAILED = 1,   /* failures are remembered: see the passive rules */
    PEER_SICK = 2,     /* active checks say no */
    PEER_OUTLIER = 4,  /* worse than the others: out until outlier_until_ms */
    PEER_SLOW = 8,     /* recovered a while ago: gets a growing share */
};

typedef struct peer_state {
    uint64_t key;      /* 0: the cell is free */
    uint64_t users[4]; /* workers that have it, by board slot */
    uint32_t in_flight;
    uint32_t flags;
    int32_t weight, current, effective; /* smooth weighted round robin, where workers take turns together */
    /* -- passive; milliseconds of CLOCK_MONOTONIC, 0: none */
    uint32_t fails;        /* in the current window */
    uint32_t ejections;    /* in a row, by outlier detection */
    int64_t window_at_ms;  /* start of the window; nginx: last pick after a quiet time, or failure */
    int64_t failed_at_ms;  /* last failure */
    int64_t ejected_at_ms; /* out of rotation since; 0: in */
    int64_t trial_at_ms;   /* when the one trial was let through; 0: none running */
    /* -- active */
    uint32_t streak;       /* checks in a row that contradict the present opinion */
    uint32_t check_status; /* of the last check: HTTP status, or 0 */
    int32_t check_err;     /* of the last check: 0 fine */
    uint32_t checks;
    int64_t checked_at_ms;
    int64_t recovered_at_ms;
    /* -- outliers */
    int64_t outlier_until_ms;
    int64_t sample_at_ms; /* start of the window */
    uint32_t samples, errors;
    uint64_t latency_us; /* sum over the window's successes */
    uint32_t mean_us;    /* of the last window that had enough; 0: none */
    uint32_t unused;
    /* -- response times, milliseconds */
    uint32_t header_time, response_time;
    uint32_t waiting; /* requests whose header has not come */
    uint32_t waiting_avg;
    int64_t waiting_sum, waiting_at_ms;
} peer_state;

/* Formats a blank segment or attaches. ERR_INVALID: too small or not such a table. `workers`:
 * board slots. */
MUST_USE int peers_open(seg *s, uint32_t workers, peers **out);
/* Another process of the same gateway; the shape is what the master made. */
MUST_USE int peers_attach(seg *s, peers **out);
/* From now on this process is that worker. */
void peers_enter_worker(uint32_t worker);
/* The cell of a key, and this worker's part of its in_flight; NULL: the table is full. */
peer_state *peers_join(peers *t, uint64_t key, uint32_t **held);
void peers_leave(peers *t, peer_state *s);
/* The master calls it when a worker is gone. */
void peers_forget_worker(peers *t, uint32_t worker);
void peers_lock(peers *t);
void peers_unlock(peers *t);
/* Am I the one? Renews or takes the lease; to be asked about once a second. */
bool peers_lead(peers *t, int64_t now_ms);
/* Another worker may take over at once. */
void peers_resign(peers *t);

#endif
