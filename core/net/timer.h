/* timer.h — deadlines on a coarse wheel. Setting one is O(1) and usually only writes a field: a timer whose new deadline is later than the one
 * it is linked for is moved when that one fires. Resolution 10 ms up to 5 s away, coarser beyond; a timer never fires early. */
#ifndef NET_TIMER_H
#define NET_TIMER_H

#include "base/list.h"
#include "net/loop.h"

#include <stdint.h>

typedef struct timer {
    list node;
    int64_t deadline_ms; /* 0: not set */
    int64_t linked_ms;   /* the earliest deadline of the slot it is linked in */
    void (*on_expire)(struct timer *t); /* runs like an event callback: mark work runnable, no more */
} timer;

void timer_init(timer *t, void (*on_expire)(timer *t));
/* From now (the loop's cached clock); replaces an earlier deadline. in_ms >= 0. */
void timer_set(loop *l, timer *t, int64_t in_ms);
/* Must be called before the memory goes. */
void timer_stop(timer *t);
/* Forgets the deadline but leaves the node linked (cheap when it will be set again soon); the owner still has to timer_stop before it goes. */
static inline void timer_clear(timer *t)
{
    t->deadline_ms = 0;
}
static inline bool timer_is_set(const timer *t)
{
    return t->deadline_ms != 0;
}

#endif
