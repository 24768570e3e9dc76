/* worker.h — a worker process: a loop, the current generation, the listeners, and the master's
 * voice on a channel. It never reads the configuration from disk and never decides by itself which
 * generation runs.
 *
 * Its end: told to quit, it stops accepting and lets what is in flight finish within a grace time;
 * told to end (TERM), it ends at once. A worker whose master has died drains and ends. */
#ifndef PROC_WORKER_H
#define PROC_WORKER_H

#include "back/changes.h"
#include "proc/logs.h"
#include "proc/ports.h"
#include "proc/priv.h"
#include "proc/recipe.h"
#include "proc/shared.h"

struct worker_args {
    const recipe *recipe;
    bundle *bundle; /* the committed generation */
    uint64_t generation;
    ports *ports; /* inherited; the worker's copy from now on */
    logs *logs;   /* likewise */
    shared *shared;
    priv ids;
    uint32_t slot;
    int channel_fd;
    int64_t shutdown_ms;   /* grace when the master has died */
    const char *error_log; /* -e; NULL: none */
    changes *changes;      /* inherited; taken */
};

/* In the forked child. Ends the process. */
NORETURN void worker_run(const struct worker_args *args);

#endif
