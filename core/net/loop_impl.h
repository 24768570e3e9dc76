/* loop_impl.h — the body of struct loop, for the files of net/ that register events. Nobody else includes it.
 *
 * Every libevent callback in net/ is a trampoline of this shape: loop_enter (the clock is read once per wake), note what happened and
 * mark jobs runnable, loop_drain. */
#ifndef NET_LOOP_IMPL_H
#define NET_LOOP_IMPL_H

#include "base/clock.h"
#include "net/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>

enum {
    WHEEL_SLOTS = 512, /* per level, a power of two */
    WHEEL_LEVELS = 4,
    WHEEL_SHIFT = 4,   /* a slot of level n lasts 2^(4n) ticks: 10 ms, 160 ms, 2.56 s, 41 s */
    WHEEL_TICK_MS = 10,
    LOOP_IDLE_MAX = 4,
};

/* No slot that is due in or before tick `done` is occupied. `next` is the earliest tick at which an occupied slot is due (it may be too early: a
 * stopped timer leaves its slot marked), INT64_MAX when there is none. */
struct wheel {
    int64_t done, next;
    uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64];
    list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

struct loop {
    struct event_base *base;
    list ready;           /* jobs, first woken first */
    list late;            /* jobs for the end of the turn */
    bool clock_is_fresh;  /* clock_update was called since the last wait */
    bool draining, stopped;
    int nidle;
    struct loop_idle {
        void (*fn)(void *arg);
        void *arg;
    } idle[LOOP_IDLE_MAX];
    struct event tick;    /* ends the wait when the wheel has something due */
    int64_t tick_at;      /* the wheel tick it is armed for, INT64_MAX when it is not */
    struct event turn_end; /* bounds loop_turn */
    struct wheel wheel;
    struct splice_pipe *pipes; /* empty ones */
    int npipes;
};

static inline void loop_enter(loop *l)
{
    if (!l->clock_is_fresh) {
        l->clock_is_fresh = true;
        clock_update();
    }
}

void splice_pool_fini(loop *l);
void wheel_init(struct wheel *w);
/* Fires what is due. */
void wheel_run(loop *l);

static inline bool wheel_is_due(const struct wheel *w)
{
    return w->next <= clock_ms() / WHEEL_TICK_MS;
}

#endif
