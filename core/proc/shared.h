/* shared.h — the segments every process of a gateway shares: counters, scoreboard, ticket keys, and
 * those of the hooks (dictionaries, limits, policy metrics). The master makes them before it forks;
 * what a later configuration adds is sent to the workers. */
#ifndef PROC_SHARED_H
#define PROC_SHARED_H

#include "proc/summary.h"
#include "shm/board.h"
#include "shm/limit.h"
#include "shm/metrics.h"
#include "shm/stats.h"

typedef struct shared {
    uint32_t slots; /* of the board; the master counts in stats slot `slots` */
    stats *stats;
    board *board;
    void *tickets;
} shared;

/* 0, or < 0 with a text in err. */
MUST_USE int shared_open(shared *s, uint32_t slots, const summary *sum, char *err, size_t errcap);
/* The dictionaries and zones of a new configuration; fn is told of every segment there is. */
MUST_USE int shared_update(shared *s, const summary *sum, void (*fn)(void *arg, struct seg *one),
                           void *arg, char *err, size_t errcap);
/* A worker process has ended: what it held is free again, its gauges count no more. */
void shared_forget_worker(shared *s, uint32_t slot);
/* A new key for TLS tickets. */
void shared_rotate_tickets(shared *s);
/* Worker: from now on this process counts into `slot`. */
void shared_enter_worker(shared *s, uint32_t slot);

#endif
