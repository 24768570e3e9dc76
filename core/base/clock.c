/* clock.c — the two cached clocks. */
#include "base/clock.h"

#include "base/attr.h"

#include <stdbool.h>
#include <time.h>

static struct {
    int64_t mono_us; /* 0: not read yet */
    int64_t mono_ms;
    int64_t wall_ms;
    bool frozen;
} now;

static int64_t read_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void clock_update(void)
{
    if (now.frozen) {
        return;
    }
    now.mono_us = read_ns(CLOCK_MONOTONIC) / 1000;
    now.mono_ms = now.mono_us / 1000;
    if (now.mono_ms == 0) {
        now.mono_us = 1000; /* 0 means "no deadline" to callers */
        now.mono_ms = 1;
    }
    now.wall_ms = read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_ms(void)
{
    if (UNLIKELY(now.mono_us == 0)) {
        clock_update();
    }
    return now.mono_ms;
}

int64_t clock_us(void)
{
    if (UNLIKELY(now.mono_us == 0)) {
        clock_update();
    }
    return now.mono_us;
}

int64_t clock_wall_ms(void)
{
    if (UNLIKELY(now.mono_us == 0)) {
        clock_update();
    }
    return now.wall_ms;
}

int64_t clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

void clock_freeze(int64_t mono_ms, int64_t wall_ms)
{
    now.frozen = true;
    now.mono_ms = mono_ms > 0 ? mono_ms : 1;
    now.mono_us = now.mono_ms * 1000;
    now.wall_ms = wall_ms;
}
