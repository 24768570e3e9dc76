/* hook.h — runs the composed hooks of a phase: fills flow/hook.h.
 *
 * The hooks of a phase are called one after the other, each in one resume of the request's
 * coroutine. One that answers or reroutes ends the phase. One that fails ends it too when its
 * policy says deny; else the request goes on as if it had returned nothing. */
#ifndef SCRIPT_HOOK_H
#define SCRIPT_HOOK_H

#include "script/task.h"

extern const struct flow_hooks hook_flow;

/* The request's main task, made at its first hook. */
task *hook_task(req *r);
/* Pushes function, req and (phase by phase) the rest for the hook at t->at: `extra` values that are
 * on top of t->co already come between req and ctx. Returns the number of arguments. */
int hook_push(task *t);
/* Appends ctx when the hook wants it; returns how many values were pushed. */
int hook_push_ctx(task *t, const hook_entry *e);
/* The hook at t->at failed; the error is on t->co. Logs, renews the coroutine. 0: go on without it,
 * or ERR_*. */
int hook_failed(task *t);
/* Is the policy of e quarantined by the master? */
bool hook_is_quarantined(script *s, const hook_entry *e);
/* What req:reply() returns, so that `return req:reply(…)` can be told from nonsense. */
void hook_push_mark(lua_State *L);
bool hook_is_mark(lua_State *L, int idx);
const char *hook_phase_name(int phase);

#endif
