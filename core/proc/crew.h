/* crew.h — the workers as the master sees them: forked, watched, replaced, told to quit.
 *
 * A worker is STARTING until it says READY, RUNNING, then DRAINING (told to quit) until its process
 * has ended. One that ends unasked is replaced: at once when it had lived, after a growing pause
 * when several died young, so that a configuration that kills its workers does not turn into a fork
 * bomb. A worker carries the stamp of the crew when it was forked; a new stamp (another user,
 * another binary) makes all older ones replaced one by one. */
#ifndef PROC_CREW_H
#define PROC_CREW_H

#include "net/timer.h"
#include "proc/channel.h"

#include <sys/types.h>

struct master;

enum crew_state { CREW_STARTING, CREW_RUNNING, CREW_DRAINING };

typedef struct crew_worker {
    list node;
    struct master *m;
    pid_t pid;
    uint32_t slot;
    enum crew_state state;
    uint32_t stamp;
    bool condemned; /* killed by us: its death is expected, its replacement wanted */
    int64_t born_ms;
    int64_t hook_since_ms, hook_cpu_ms; /* the watchdog's: which hook it saw it in, and its CPU time then */
    uint64_t generation; /* it runs */
    channel *channel;
    bool asked, answered; /* in the phase of the swap under way */
} crew_worker;

typedef struct crew {
    struct master *m;
    list workers;
    uint32_t want; /* 0: none are replaced any more */
    uint32_t stamp;
    uint32_t young_deaths; /* in a row */
    uint64_t restarts;
    timer respawn, watchdog;
} crew;

void crew_init(crew *c, struct master *m);
/* Timers stop; in a child that keeps the process also the channels' descriptors are closed. */
void crew_fini(crew *c);
/* How many there shall be; forks or drains towards that. 0, or ERR_* when no process could be made.
 */
int crew_resize(crew *c, uint32_t want);
/* All present workers are replaced, each once a new one runs. */
void crew_renew(crew *c);
/* SIGCHLD. */
void crew_reap(crew *c);
uint32_t crew_count(const crew *c);
uint32_t crew_count_state(const crew *c, enum crew_state state);
/* To all that are RUNNING (and STARTING ones with `all`). One that does not take it is killed and
 * replaced. */
void crew_tell(crew *c, const channel_msg *m, bool all);
void crew_tell_one(crew_worker *w, const channel_msg *m);
/* Nothing is replaced from here on. Drain within grace, or end with a signal. */
void crew_quit(crew *c, int64_t grace_ms);
void crew_kill(crew *c, int signum);
/* Ends one that misbehaves; it is replaced. */
void crew_condemn(crew_worker *w, const char *why);

#endif
