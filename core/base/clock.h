/* clock.h — monotonic and wall time, read once per loop turn and cached. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Reads both clocks; the loop calls it when it wakes. */
void clock_update(void);
/* Cached monotonic milliseconds (never 0). */
int64_t clock_ms(void);
/* Cached monotonic microseconds. */
int64_t clock_us(void);
/* Cached wall clock, milliseconds since the epoch. */
int64_t clock_wall_ms(void);
/* Fresh monotonic nanoseconds. */
int64_t clock_now_ns(void);
/* For tests (virtual clock): moves the cached clocks on and stops clock_update from reading real ones. */
void clock_freeze(int64_t mono_ms, int64_t wall_ms);

#endif
