/* master.h — the process that owns the gateway and touches no request byte: it opens what needs
 * rights, forks workers, replaces dead ones, leads reloads, and ends everything in order.
 *
 *   STARTING  until every worker runs          → RUNNING, or the start has failed
 *   RUNNING   reloads, replacements, status    → DRAINING (QUIT) or ENDING (TERM, INT)
 *   DRAINING  listeners closed, work finishes  → ENDING when time is up, or the end
 *   ENDING    workers told to end at once      → the end
 */
#ifndef PROC_MASTER_H
#define PROC_MASTER_H

#include "base/log.h"
#include "net/signal.h"
#include "proc/admin.h"
#include "proc/crew.h"
#include "proc/logs.h"
#include "proc/ports.h"
#include "proc/recipe.h"
#include "proc/shared.h"
#include "proc/swap.h"
#include "proc/upstreams.h"
#include "proc/watch.h"

enum master_state { MASTER_STARTING, MASTER_RUNNING, MASTER_DRAINING, MASTER_ENDING };

struct master_options {
    const char *error_log; /* -e: where the configuration names none */
    const char *pid;       /* -g "pid …": instead of the configuration's; with nginx manners: where that names none */
    const char *shown;     /* the configuration as the user named it */
    bool watch;
};

enum { MASTER_SIGNALS_MAX = 10 };

typedef struct master {
    loop *l;
    const recipe *recipe;
    struct master_options options;
    enum master_state state;
    int status; /* of the process, in the end */
    int64_t started_ms, started_wall_ms;
    /* the committed generation, and the one before it */
    bundle *bundle, *previous;
    uint64_t generation, previous_number, last_number;
    bool fresh; /* committed, but not yet applied to the master itself */
    bool renew; /* other ids or DNS servers: the workers must be replaced */
    int64_t committed_wall_ms;
    summary sum; /* of bundle */
    priv ids;
    char *pid_file; /* written; owned */
    ports ports;
    logs logs;
    shared shared;
    crew crew;
    swap swap;
    upstreams upstreams;
    admin *admin;
    pid_t heir;       /* another binary that takes over; 0: none */
    bool reload_soon; /* asked for while the workers started */
    watch *watch;
    timer tickets, probation, end;
    int64_t ticket_ms;     /* that `tickets` was set to */
    signal_watch *signals[MASTER_SIGNALS_MAX];
} master;

/* Runs the gateway; the exit status. `b` is the validated configuration (takes the reference). */
int master_run(const recipe *r, const struct master_options *o, bundle *b);
const char *master_state_name(enum master_state state);

/* For signals and the admin socket. */
void master_quit(master *m);
void master_end(master *m);

/* ---- between the parts of the master */
/* In a forked child that becomes a worker: drops everything that is the master's. */
void master_leave(master *m);
void master_on_worker_running(master *m, crew_worker *w);
void master_on_worker_spawned(master *m, crew_worker *w);
void master_on_worker_msg(master *m, crew_worker *w, const channel_msg *msg);
void master_on_worker_gone(master *m, const crew_worker *w);
void master_on_swap_done(master *m); /* swap.last says how */
/* The commit begins: `b` and `sum` become the master's (sum is emptied). */
void master_take_generation(master *m, bundle *b, uint64_t number, summary *sum, const priv *ids,
                            bool back);

#endif
