/* loop.c — one event base, one run queue, one timer wheel.
 *
 * A turn: drain the run queue and the late jobs, call the idle hooks, arm the tick if the wheel's next deadline came nearer, wait, let the trampolines mark and
 * drain jobs, then fire what is due. The base has no locks and batches its epoll_ctl calls; the tick is its only timeout, so a process
 * without deadlines sleeps until a descriptor wakes it. */
#include "net/loop.h"

#include "base/check.h"
#include "net/loop_impl.h"

#include <stdlib.h>

/* Jobs that keep waking each other may not starve the sockets: past this many the rest waits for the next event or turn, which then only polls. */
enum { DRAIN_MAX = 64 };

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    loop *l = arg;
    (void)fd;
    (void)what;
    l->tick_at = INT64_MAX;
    loop_enter(l);
}

static void on_turn_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static struct event_base *base_new(void)
{
    struct event_config *cfg = event_config_new();
    REQUIRE(cfg != NULL);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);
    struct event_base *base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

loop *loop_new(void)
{
    loop *l = calloc(1, sizeof *l);
    REQUIRE(l != NULL);
    l->base = base_new();
    REQUIRE(l->base != NULL);
    list_init(&l->ready);
    list_init(&l->late);
    l->tick_at = INT64_MAX;
    event_assign(&l->tick, l->base, -1, 0, on_tick, l);
    event_assign(&l->turn_end, l->base, -1, 0, on_turn_end, l);
    clock_update();
    wheel_init(&l->wheel);
    return l;
}

void loop_free(loop *l)
{
    if (!l) {
        return;
    }
    while (!list_is_empty(&l->ready)) {
        list_remove(l->ready.next);
    }
    while (!list_is_empty(&l->late)) {
        list_remove(l->late.next);
    }
    splice_pool_fini(l);
    event_del(&l->tick);
    event_del(&l->turn_end);
    event_base_free(l->base);
    free(l);
}

void job_init(job *j, void (*run)(job *j))
{
    list_init(&j->node);
    j->run = run;
}

void job_wake(loop *l, job *j)
{
    if (!list_is_linked(&j->node)) {
        list_push_back(&l->ready, &j->node);
    }
}

void job_wake_late(loop *l, job *j)
{
    if (!list_is_linked(&j->node)) {
        list_push_back(&l->late, &j->node);
    }
}

void job_cancel(job *j)
{
    list_remove(&j->node);
}

void loop_on_idle(loop *l, void (*fn)(void *arg), void *arg)
{
    REQUIRE(l->nidle < LOOP_IDLE_MAX);
    l->idle[l->nidle++] = (struct loop_idle){fn, arg};
}

void loop_drain(loop *l)
{
    if (l->draining) {
        return;
    }
    l->draining = true;
    for (int left = DRAIN_MAX; left && !list_is_empty(&l->ready); left--) {
        job *j = list_item(l->ready.next, job, node);
        list_remove(&j->node);
        j->run(j);
    }
    l->draining = false;
}

/* A late job that is woken again while they run waits for the next end. */
static void drain_late(loop *l)
{
    if (LIKELY(list_is_empty(&l->late))) {
        return;
    }
    list now;
    list_take(&now, &l->late);
    while (!list_is_empty(&now)) {
        job *j = list_item(now.next, job, node);
        list_remove(&j->node);
        j->run(j);
    }
    loop_drain(l);
}

static void arm_tick(loop *l)
{
    int64_t next = l->wheel.next;
    if (next >= l->tick_at) {
        return; /* it wakes us early enough; an early wake costs less than moving it at every change */
    }
    int64_t ms = next * WHEEL_TICK_MS - clock_ms();
    if (ms < 1) {
        ms = 1;
    }
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    event_add(&l->tick, &tv);
    l->tick_at = next;
}

static void turn(loop *l, bool may_wait)
{
    loop_drain(l);
    drain_late(l);
    if (list_is_empty(&l->ready)) {
        for (int i = 0; i < l->nidle; i++) {
            l->idle[i].fn(l->idle[i].arg);
        }
    }
    if (l->stopped) {
        return;
    }
    arm_tick(l);
    int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;
    if (!may_wait || !list_is_empty(&l->ready) || !list_is_empty(&l->late)) {
        flags |= EVLOOP_NONBLOCK;
    }
    l->clock_is_fresh = false;
    event_base_loop(l->base, flags);
    loop_enter(l);
    if (wheel_is_due(&l->wheel)) {
        wheel_run(l);
    }
    loop_drain(l);
    drain_late(l);
}

void loop_run(loop *l)
{
    l->stopped = false;
    while (!l->stopped) {
        turn(l, true);
    }
}

void loop_turn(loop *l, int max_wait_ms)
{
    l->stopped = false;
    if (max_wait_ms <= 0) {
        turn(l, false);
        return;
    }
    struct timeval tv = {.tv_sec = max_wait_ms / 1000, .tv_usec = max_wait_ms % 1000 * 1000};
    event_add(&l->turn_end, &tv);
    turn(l, true);
    event_del(&l->turn_end);
}

void loop_stop(loop *l)
{
    l->stopped = true;
    event_base_loopbreak(l->base);
}

void loop_reinit(loop *l)
{
    REQUIRE(event_reinit(l->base) == 0);
}
