/* hook.c — phases of a request: one loop over the route's hooks, parked and continued wherever a
 * hook waits. */
#include "script/hook.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "script/filter_lua.h"
#include "shm/stats.h"

static const char answer_mark = 0;

const char *hook_phase_name(int phase)
{
    static const char *const names[] = {"rewrite", "access", "balance", "header", "body", "log"};
    return phase >= 0 && phase < PHASE_COUNT ? names[phase] : "none";
}

void hook_push_mark(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&answer_mark);
}

bool hook_is_mark(lua_State *L, int idx)
{
    return lua_touserdata(L, idx) == (const void *)&answer_mark;
}

task *hook_task(req *r)
{
    task *t = r->script;
    if (UNLIKELY(!t)) {
        t = task_get(r->plan->script);
        t->r = r;
        r->script = t;
    }
    return t;
}

/* Looks the list up again when it changed. ERR_AGAIN: it is being written; believe what is known.
 */
static void refresh_quarantine(script *s)
{
    board_quarantine now[BOARD_QUARANTINE_MAX];
    uint32_t serial = board_quarantine_serial(script_process.board);
    if (board_quarantine_list(script_process.board, now) < 0) {
        return;
    }
    s->quarantine_serial = serial;
    for (int id = 0; id < s->nhooks; id++) {
        for (int p = 0; p < PHASE_COUNT; p++) {
            hook_list *hooks = &s->hooks[id].phase[p];
            for (int i = 0; i < hooks->n; i++) {
                hooks->v[i].quarantined =
                    board_is_quarantined(script_process.board, hooks->v[i].policy, s->generation);
            }
        }
    }
}

bool hook_is_quarantined(script *s, const hook_entry *e)
{
    if (UNLIKELY(script_process.board &&
                 board_quarantine_serial(script_process.board) != s->quarantine_serial)) {
        refresh_quarantine(s);
    }
    return e->quarantined;
}

int hook_push_ctx(task *t, const hook_entry *e)
{
    if (!e->wants_ctx) {
        return 0;
    }
    if (t->ctx_ref == LUA_NOREF) {
        lua_newtable(t->co);
        lua_pushvalue(t->co, -1);
        t->ctx_ref = luaL_ref(t->co, LUA_REGISTRYINDEX);
    } else {
        lua_rawgeti(t->co, LUA_REGISTRYINDEX, t->ctx_ref);
    }
    return 1;
}

int hook_push(task *t)
{
    script *s = t->s;
    lua_State *co = t->co;
    const hook_entry *e = &t->list->v[t->at];
    lua_rawgeti(co, LUA_REGISTRYINDEX, e->ref);
    lua_rawgeti(co, LUA_REGISTRYINDEX, t->phase == PHASE_BALANCE ? s->attempt_ref : s->req_ref);
    int n = 1;
    if (t->phase == PHASE_HEADER || t->phase == PHASE_LOG) {
        lua_rawgeti(co, LUA_REGISTRYINDEX, s->res_ref);
        n++;
    }
    return n;
}

static void log_failure(task *t, const hook_entry *e, const char *message)
{
    str text = vm_traceback(t->s, t->co, message);
    log_error("script: req=%llx %s hook of policy '%.*s' (%.*s) failed%s: %.*s",
              (unsigned long long)t->r->id, hook_phase_name(t->phase), STR_ARG(e->policy),
              STR_ARG(e->label), e->deny ? "" : ", going on without it", STR_ARG(text));
    lua_pop(t->s->L, 1);
}

int hook_failed(task *t)
{
    script *s = t->s;
    const hook_entry *e = &t->list->v[t->at];
    const char *message = lua_tostring(t->co, -1);
    log_failure(t, e, message ? message : "(error object is not a string)");
    stats_add(STAT_HOOK_ERRORS, 1);
    int code = ERR_SCRIPT;
    if (t->budget_hit) {
        stats_add(STAT_HOOK_BUDGET_KILLS, 1);
        code = ERR_SCRIPT_BUDGET;
    }
    task_renew(t);
    if (s->mem.denied) {
        s->mem.denied = false;
        stats_add(STAT_HOOK_MEMORY_KILLS, 1);
        lua_gc(s->L, LUA_GCCOLLECT, 0);
        if (s->mem.used > s->mem.limit / 10 * 9) {
            log_alert("script: %zu of %zu bytes of Lua memory are in use and not garbage: a policy "
                      "keeps too much",
                      s->mem.used, s->mem.limit);
        }
    }
    if (t->verdict != HOOK_NEXT) {
        t->verdict = HOOK_NEXT; /* what it said before it failed does not count */
        t->r->has_reply = false;
    }
    return e->deny ? code : 0;
}

/* A hook returns nothing, or what req:reply() and its like returned; balance may name a peer. */
static int check_result(task *t)
{
    lua_State *co = t->co;
    if (LIKELY(lua_gettop(co) == 0)) {
        return TASK_DONE;
    }
    int type = lua_type(co, 1);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && hook_is_mark(co, 1))) {
        lua_settop(co, 0);
        return TASK_DONE;
    }
    if (t->phase == PHASE_BALANCE && type == LUA_TSTRING) {
        t->r->pinned_peer = pool_dup(&t->r->pool, vm_str(co, 1));
        lua_settop(co, 0);
        return TASK_DONE;
    }
    lua_pushfstring(co, "the hook returned a %s; it returns nothing, or `return req:reply(...)`",
                    lua_typename(co, type));
    return TASK_FAILED;
}

static int start(task *t)
{
    const hook_entry *e = &t->list->v[t->at];
    if (UNLIKELY(hook_is_quarantined(t->s, e))) {
        return e->deny ? ERR_SCRIPT : TASK_DONE;
    }
    if (e->native) {
        int verdict = e->native(t->r, e->native_arg);
        t->verdict = verdict < 0 ? t->verdict : verdict;
        return verdict < 0 ? verdict : TASK_DONE;
    }
    int n = hook_push(t);
    return task_resume(t, n + hook_push_ctx(t, e));
}

/* One hook came back. > 0: the phase is over or waits; 0: next hook; < 0: it failed and denies. */
static int settle(task *t, int outcome)
{
    if (outcome < 0) {
        return outcome;
    }
    if (outcome == TASK_DONE) {
        outcome = check_result(t);
    }
    return outcome == TASK_FAILED ? hook_failed(t) : 0;
}

static int finish(task *t, int verdict)
{
    t->phase = PHASE_COUNT;
    t->list = NULL;
    return verdict;
}

static void release(req *r)
{
    task *t = r->script;
    if (t) {
        r->script = NULL;
        task_put(t);
    }
}

/* Hooks in C at the head of the list need no coroutine. Index of the first that does; or the list's
 * length with the verdict. */
static int run_natives(req *r, const hook_list *hooks, int *verdict)
{
    int at = 0;
    *verdict = HOOK_NEXT;
    while (at < hooks->n && hooks->v[at].native) {
        *verdict = hooks->v[at].native(r, hooks->v[at].native_arg);
        if (UNLIKELY(*verdict < 0 && !hooks->v[at].deny)) {
            *verdict = HOOK_NEXT;
        }
        if (*verdict != HOOK_NEXT) {
            return hooks->n;
        }
        at++;
    }
    return at;
}

static int run(req *r, enum conf_phase phase)
{
    const script *s = r->plan->script;
    const hook_list *hooks = &s->hooks[r->route->hook_id].phase[phase];
    int at = 0, verdict = HOOK_NEXT;
    if (hooks->n && hooks->v[0].native &&
        !(r->script && ((task *)r->script)->state == TASK_PARKED)) {
        at = run_natives(r, hooks, &verdict);
        if (at == hooks->n) {
            stats_add(STAT_HOOK_RUNS, 1);
            return verdict;
        }
    }
    task *t = hook_task(r);
    int outcome;
    if (UNLIKELY(t->state == TASK_PARKED)) {
        if (UNLIKELY(r->total_expired && phase != PHASE_LOG)) {
            release(r);
            return ERR_TIMEOUT;
        }
        outcome = task_continue(t);
    } else if (UNLIKELY(phase == PHASE_HEADER && t->header_failed)) {
        return HOOK_NEXT; /* the page that says so is not shown to the hook that failed */
    } else {
        t->phase = (uint8_t)phase;
        t->list = hooks;
        t->at = at;
        t->verdict = HOOK_NEXT;
        stats_add(STAT_HOOK_RUNS, 1);
        if (!t->list->n) {
            return finish(t, HOOK_NEXT);
        }
        outcome = start(t);
    }
    for (;;) {
        if (outcome == TASK_WAITS) {
            return ERR_AGAIN;
        }
        int rc = settle(t, outcome);
        if (rc < 0 && phase == PHASE_HEADER) {
            t->header_failed = true;
        }
        if (rc < 0 || t->verdict != HOOK_NEXT || ++t->at >= t->list->n) {
            return finish(t, rc < 0 ? rc : t->verdict);
        }
        outcome = start(t);
    }
}

const struct flow_hooks hook_flow = {.run = run, .body = filter_lua_new, .release = release};
