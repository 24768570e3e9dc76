/* budget.h — the CPU budget of policy code: stops loops that never come back, in compiled code too.
 *
 * A timer on the worker's CPU clock ticks a few times per budget; its signal handler only compares
 * "is it still the same run as at the last tick". When the run has used its budget the handler
 * plants a debug hook that raises at the next call, return or instruction, and triggers LuaJIT's
 * profiler flag, which makes compiled loops leave their trace and look. The hook stays planted
 * until the run is back in C, so a pcall cannot swallow it. What it cannot stop is a C function
 * that does not return; the watchdog does (board.h). */
#ifndef SCRIPT_BUDGET_H
#define SCRIPT_BUDGET_H

#include "script/vm.h"

/* What the signal handler looks at. */
struct budget_run {
    lua_State *volatile co; /* NULL: no policy code runs */
    script *volatile s;
    volatile uint32_t serial;
    volatile bool hit;
    volatile bool slow; /* a tick came during a run: the loop's cached time is old by now */
};
extern struct budget_run budget_run;

/* Once per worker: starts the clock; ticks depend on `cpu_ms` of the generations. 0 or ERR_*. */
MUST_USE int budget_setup(void);
/* s is the generation that runs most of the time from now on. */
void budget_aim(script *s);
/* s is closing. */
void budget_forget(script *s);
/* After a hit: takes the hook out again. */
void budget_disarm(lua_State *co);

static inline void budget_enter(script *s, lua_State *co)
{
    budget_run.serial++;
    budget_run.s = s;
    budget_run.co = co;
}

/* True when the run was stopped by its budget. */
static inline bool budget_leave(void)
{
    lua_State *co = budget_run.co;
    budget_run.co = NULL;
    if (UNLIKELY(budget_run.hit)) {
        budget_disarm(co);
        return true;
    }
    return false;
}

#endif
