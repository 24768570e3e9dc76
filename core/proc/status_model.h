/* status_model.h — the workers' reports added up: shared by the collector (status.c) and its two
 * views (status_json.c, status_text.c). */
#ifndef PROC_STATUS_MODEL_H
#define PROC_STATUS_MODEL_H

#include "base/pool.h"
#include "base/vec.h"
#include "proc/json.h"
#include "proc/status.h"

struct status_generation {
    int64_t number, pins, refs, lua_bytes, tasks; /* pins: requests and tunnels in flight */
    str role;                                     /* of the most important one of its workers */
    int64_t workers;
};

struct status_peer {
    str group, address, tier, state; /* the worst of the workers' */
    int64_t weight, in_flight, idle, attempts, failures;
    str server; /* as configured: the name that it is an address of */
    bool added; /* at run time */
};

struct status_wait {
    str name;
    int64_t count;
};

struct status_worker {
    pid_t pid;
    int64_t connections, idle, requests, tunnels, accepted, refused;
};

struct status {
    pool pool;
    VEC(struct status_generation) generations;
    VEC(struct status_peer) peers;
    VEC(struct status_wait) waits;
    VEC(struct status_worker) workers;
};

const char *status_version(void);
const char *status_worker_state(const crew_worker *w);
/* The report of a worker, or NULL. */
const struct status_worker *status_find_worker(const status *s, pid_t pid);
void status_json_peer(json *j, const struct status_peer *p);
/* "2026-11-23T10:00:00Z" of seconds since the epoch. */
void status_time(int64_t epoch_s, char buf[32]);

#endif
