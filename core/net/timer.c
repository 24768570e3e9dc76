/* timer.c — the wheel: four levels of 512 slots; a timer sits in the finest level that reaches its deadline, in the slot that ends at or after
 * it, and never moves down: beyond 5 s it is only as punctual as its level. The slots' bitmaps give the next wake without a tick while idle.
 *
 * Deadlines that move later (the common case: each exchange pushes a timeout on) write one field; the timer is linked anew when the slot it
 * sits in comes up. */
#include "net/timer.h"

#include "base/check.h"
#include "net/loop_impl.h"

void wheel_init(struct wheel *w)
{
    for (int n = 0; n < WHEEL_LEVELS; n++) {
        for (int i = 0; i < WHEEL_SLOTS; i++) {
            list_init(&w->slot[n][i]);
        }
    }
    w->done = clock_ms() / WHEEL_TICK_MS;
    w->next = INT64_MAX;
}

/* Nothing is due before `next`, so time may be taken as passed up to there: the levels reach further. */
static void catch_up(struct wheel *w, int64_t now_tick)
{
    int64_t to = now_tick < w->next ? now_tick : w->next - 1;
    if (to > w->done) {
        w->done = to;
    }
}

static void wheel_link(struct wheel *w, timer *t)
{
    int64_t tick = (t->deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    int64_t at = 0;
    int level = 0;
    catch_up(w, clock_ms() / WHEEL_TICK_MS);
    for (;; level++) {
        int shift = WHEEL_SHIFT * level;
        int64_t passed = w->done >> shift;
        at = (tick + (1 << shift) - 1) >> shift;
        if (at <= passed) {
            at = passed + 1;
        }
        if (at - passed < WHEEL_SLOTS) {
            break;
        }
        if (level == WHEEL_LEVELS - 1) {
            at = passed + WHEEL_SLOTS - 1; /* further than the wheel: linked anew when it comes up */
            break;
        }
    }
    size_t i = (size_t)at & (WHEEL_SLOTS - 1);
    list_push_back(&w->slot[level][i], &t->node);
    w->used[level][i / 64] |= (uint64_t)1 << (i % 64);
    /* the first deadline that belongs in this slot: a later one need not move the timer, whatever the slot's rounding */
    t->linked_ms = ((at - 1) << (WHEEL_SHIFT * level)) * WHEEL_TICK_MS + 1;
    at <<= WHEEL_SHIFT * level;
    if (at < w->next) {
        w->next = at;
    }
}

/* Slots from the one after `passed` to the next occupied one, 0 when the level is empty. */
static int64_t next_used(const uint64_t *used, int64_t passed)
{
    size_t from = (size_t)(passed + 1) & (WHEEL_SLOTS - 1);
    for (size_t n = 0; n <= WHEEL_SLOTS / 64; n++) {
        size_t word = (from / 64 + n) % (WHEEL_SLOTS / 64);
        uint64_t bits = used[word];
        if (n == 0) {
            bits &= ~(uint64_t)0 << (from % 64);
        } else if (n == WHEEL_SLOTS / 64) {
            bits &= ~(~(uint64_t)0 << (from % 64)); /* the first word again, below where we began */
        }
        if (bits) {
            size_t i = word * 64 + (size_t)__builtin_ctzll(bits);
            return (int64_t)((i - from) & (WHEEL_SLOTS - 1)) + 1;
        }
    }
    return 0;
}

static void append(list *to, list *from)
{
    if (!list_is_empty(from)) {
        from->next->prev = to->prev;
        from->prev->next = to;
        to->prev->next = from->next;
        to->prev = from->prev;
        list_init(from);
    }
}

/* Moves every slot due up to `now_tick` to `due`; done and next are right afterwards. */
static void collect(struct wheel *w, int64_t now_tick, list *due)
{
    int64_t next = INT64_MAX;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        int shift = WHEEL_SHIFT * level;
        int64_t passed = w->done >> shift, upto = now_tick >> shift, step = 0;
        while ((step = next_used(w->used[level], passed)) != 0 && passed + step <= upto) {
            passed += step;
            size_t i = (size_t)passed & (WHEEL_SLOTS - 1);
            append(due, &w->slot[level][i]);
            w->used[level][i / 64] &= ~((uint64_t)1 << (i % 64));
        }
        if (step && (passed + step) << shift < next) {
            next = (passed + step) << shift;
        }
    }
    w->done = now_tick;
    w->next = next;
}

void wheel_run(loop *l)
{
    list due;
    int64_t now = clock_ms();
    list_init(&due);
    collect(&l->wheel, now / WHEEL_TICK_MS, &due);
    while (!list_is_empty(&due)) {
        timer *t = list_item(due.next, timer, node);
        list_remove(&t->node);
        if (t->deadline_ms > now) {
            wheel_link(&l->wheel, t);
        } else if (t->deadline_ms) {
            t->deadline_ms = 0;
            t->on_expire(t);
        }
    }
}

void timer_init(timer *t, void (*on_expire)(timer *t))
{
    list_init(&t->node);
    t->deadline_ms = 0;
    t->linked_ms = 0;
    t->on_expire = on_expire;
}

void timer_set(loop *l, timer *t, int64_t in_ms)
{
    CHECK(in_ms >= 0);
    t->deadline_ms = clock_ms() + in_ms;
    if (list_is_linked(&t->node)) {
        if (t->linked_ms <= t->deadline_ms) {
            return;
        }
        list_remove(&t->node);
    }
    wheel_link(&l->wheel, t);
}

void timer_stop(timer *t)
{
    list_remove(&t->node);
    t->deadline_ms = 0;
}
