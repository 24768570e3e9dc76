/* front.h — the downstream side of a worker: listeners, connections, drain; and the flip to a new plan between two events.
 *
 * The plan in force is the front's; every request pins the one it began with. A listener that is gone from the new plan stops accepting; its
 * connections finish what they carry and close. */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct front front;
typedef struct loop loop;
typedef struct plan plan;

struct front_args {
    loop *l;
    uint32_t max_connections; /* 0: no limit */
    uint32_t max_per_address; /* 0: no limit */
};

MUST_USE front *front_new(const struct front_args *a);
/* No connection may be left (front_drain first). */
void front_free(front *f);
/* Puts `p` in force (a reference is taken). fds[i] is the listening descriptor for p->listens[i], -1 for one that comes in at another; descriptors stay the caller's. Listeners known by descriptor
 * go on, new ones start, missing ones stop. `accepting` false: adopt the plan without starting listeners. 0 or ERR_*. */
MUST_USE int front_commit(front *f, plan *p, const int *fds);
plan *front_plan(const front *f);
/* Limits may change with a reload. */
void front_set_limits(front *f, uint32_t max_connections, uint32_t max_per_address);
/* Stops accepting, closes idle connections (after a short grace in which a request that is already under way is still answered), lets the rest finish and
 * calls `done` once nothing is left. After `grace_ms` what remains is closed. Calling again with a shorter grace is allowed. */
void front_drain(front *f, int64_t grace_ms, void (*done)(void *arg), void *arg);

/* The connections that are there now are older than the mark. */
uint64_t front_mark(const front *f);
/* Closes the older ones, but those with a request of the plan in force (HTTP/2: all). */
void front_cut_older(front *f, uint64_t mark);

struct front_counts {
    uint32_t connections, idle, requests, tunnels;
    uint64_t accepted, refused;
};
void front_count(const front *f, struct front_counts *out);

#endif
