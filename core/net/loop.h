/* loop.h — the event base and the run queue of a process.
 *
 * Events never run request code: a socket, a timer or a wake only marks a job runnable (job_wake); the loop drains the run
 * queue after each event callback, so nothing is re-entered. One loop per process. libevent stays behind net/. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct loop loop;
typedef struct job job;

/* A piece of work, embedded in a conn, a request, a task... It runs at most once per wake; waking a queued job does nothing. */
struct job {
    list node;
    void (*run)(job *j);
};

loop *loop_new(void);
/* No events may be left pending. */
void loop_free(loop *l);
/* Runs until loop_stop. */
void loop_run(loop *l);
/* One turn: waits at most `max_wait_ms` (0: polls), handles what is ready. For specs and embedding. */
void loop_turn(loop *l, int max_wait_ms);
void loop_stop(loop *l);
/* After fork in a child that keeps the loop. */
void loop_reinit(loop *l);

void job_init(job *j, void (*run)(job *j));
/* Marks runnable; runs after the current event (or at once in the next turn when called outside of one). */
void job_wake(loop *l, job *j);
/* Runs once at the end of this turn of the loop, after all that its events made runnable: for what serves many requests at one go. */
void job_wake_late(loop *l, job *j);
void job_cancel(job *j);
static inline bool job_is_queued(const job *j)
{
    return list_is_linked(&j->node);
}
/* Called when the loop is about to wait with nothing runnable: GC steps, trims. At most 4. */
void loop_on_idle(loop *l, void (*fn)(void *arg), void *arg);
/* Drains the run queue now; event callbacks in net/ call it last. */
void loop_drain(loop *l);

#endif
