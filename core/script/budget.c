/* budget.c — CPU clock, signal handler, LuaJIT's profiler flag.
 *
 * The profiler ("li…") plants a check per source line in every trace; its own interval is so long
 * that it never fires by itself. It serves one state at a time: `owner`. A run of another
 * generation that must be stopped takes it over inside the handler, which is safe because the state
 * that loses it is not running. */
#include "script/budget.h"

#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <luajit.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TICKS_PER_BUDGET = 8, TICK_MIN_MS = 5, TICK_MAX_MS = 100 };

struct budget_run budget_run;

static struct {
    timer_t timer;
    bool is_set;
    int tick_ms;
    lua_State *owner; /* main state the profiler serves */
    script *preferred;
    bool taken;      /* the handler moved the profiler away from `preferred` */
    uint32_t seen;   /* serial at the last tick */
    int64_t used_ms; /* CPU that the run `seen` has used */
} clk;

static void on_profile(void *data, lua_State *L, int samples, int vmstate)
{
    (void)data;
    (void)L;
    (void)samples;
    (void)vmstate;
}

static void kill_run(lua_State *L, lua_Debug *ar)
{
    const char *where = lua_getinfo(L, "Sl", ar) && ar->currentline > 0 ? ar->short_src : NULL;
    if (where) {
        luaL_error(L, "%s:%d: stopped: used more CPU time than a hook may", where, ar->currentline);
    }
    luaL_error(L, "stopped: used more CPU time than a hook may");
}

static void stop(script *s, lua_State *co)
{
    budget_run.hit = true;
    if (clk.owner != s->L) {
        if (clk.owner) {
            luaJIT_profile_stop(clk.owner);
        }
        /* Without 'l': that would flush the traces this thread is in. The flag was planted in them
         * by budget_aim. */
        luaJIT_profile_start(s->L, "i1000000", on_profile, NULL);
        clk.owner = s->L;
        clk.taken = true;
    }
    lua_sethook(co, kill_run, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    raise(SIGPROF);
}

static void on_tick(int signum)
{
    (void)signum;
    int saved = errno;
    lua_State *co = budget_run.co;
    budget_run.slow = budget_run.slow || co;
    if (!co || clk.seen != budget_run.serial) {
        clk.seen = budget_run.serial;
        clk.used_ms = 0;
    } else {
        clk.used_ms += clk.tick_ms;
        if (clk.used_ms >= budget_run.s->cpu_ms) {
            clk.used_ms = 0; /* not gone when this fills again: once more */
            stop(budget_run.s, co);
        }
    }
    errno = saved;
}

void budget_disarm(lua_State *co)
{
    budget_run.hit = false;
    lua_sethook(co, NULL, 0, 0);
    if (clk.taken && clk.preferred) {
        clk.taken = false;
        script *interrupted = budget_run.s;
        luaJIT_profile_stop(clk.owner);
        budget_aim(clk.preferred);
        luaJIT_profile_start(interrupted->L, "li1000000", on_profile,
                             NULL); /* refused, but plants the checks */
    }
}

static void set_ticks(int64_t cpu_ms)
{
    int64_t ms = cpu_ms / TICKS_PER_BUDGET;
    clk.tick_ms = (int)(ms < TICK_MIN_MS ? TICK_MIN_MS : ms > TICK_MAX_MS ? TICK_MAX_MS : ms);
    struct itimerspec spec = {0};
    spec.it_interval.tv_nsec = spec.it_value.tv_nsec = clk.tick_ms * 1000000L;
    if (clk.is_set) {
        timer_settime(clk.timer, 0, &spec, NULL);
    }
}

int budget_setup(void)
{
    struct sigaction sa = {0};
    sa.sa_handler = on_tick;
    sa.sa_flags = SA_RESTART;
    sigemptyset(&sa.sa_mask);
    struct sigevent ev = {0};
    ev.sigev_notify = SIGEV_THREAD_ID;
    ev.sigev_signo = SIGVTALRM;
    ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (sigaction(SIGVTALRM, &sa, NULL) < 0 ||
        timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &clk.timer) < 0) {
        log_error("script: no CPU clock for hooks: errno %d", errno);
        return err_from_errno(errno);
    }
    clk.is_set = true;
    set_ticks(500);
    return 0;
}

void budget_aim(script *s)
{
    if (clk.owner && clk.owner != s->L) {
        lua_State *old = clk.owner;
        luaJIT_profile_stop(old);
        luaJIT_profile_start(s->L, "li1000000", on_profile, NULL);
        luaJIT_profile_start(old, "li1000000", on_profile,
                             NULL); /* refused, but its traces keep their checks */
    } else if (!clk.owner) {
        luaJIT_profile_start(s->L, "li1000000", on_profile, NULL);
    }
    clk.owner = s->L;
    clk.preferred = s;
    set_ticks(s->cpu_ms);
}

void budget_forget(script *s)
{
    if (clk.owner == s->L) {
        luaJIT_profile_stop(s->L);
        clk.owner = NULL;
    }
    if (clk.preferred == s) {
        clk.preferred = NULL;
    }
}
