/* task.c — the coroutine pool and its scheduler: get, resume, park, wake, put. */
#include "script/task.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "script/budget.h"
#include "shm/stats.h"

#include <stdlib.h>

enum { SPARE_MAX = 256, BACKGROUND_MAX = 4096, SUBTASKS_MAX = 256 };

struct script_process script_process;
task *task_current;

static void on_job(job *j);

static void on_deadline(timer *tm)
{
    task *t = container_of(tm, task, timer);
    t->timed_out = true;
    task_wake(t);
}

static void new_coroutine(task *t)
{
    t->co = lua_newthread(t->s->L);
    t->ref = luaL_ref(t->s->L, LUA_REGISTRYINDEX);
}

static task *task_new(script *s)
{
    task *t = calloc(1, sizeof *t);
    REQUIRE(t);
    t->s = s;
    list_init(&t->node);
    list_init(&t->children);
    list_init(&t->sibling);
    job_init(&t->job, on_job);
    timer_init(&t->timer, on_deadline);
    t->ctx_ref = LUA_NOREF;
    t->phase = PHASE_COUNT;
    new_coroutine(t);
    return t;
}

task *task_get(script *s)
{
    task *t;
    if (LIKELY(!list_is_empty(&s->spare))) {
        t = list_item(s->spare.next, task, node);
        list_remove(&t->node);
        s->nspare--;
    } else {
        t = task_new(s);
    }
    list_push_back(&s->busy, &t->node);
    s->nbusy++;
    return t;
}

void task_renew(task *t)
{
    luaL_unref(t->s->L, LUA_REGISTRYINDEX, t->ref);
    new_coroutine(t);
    t->state = TASK_IDLE;
}

static void task_free(task *t)
{
    timer_stop(&t->timer);
    luaL_unref(t->s->L, LUA_REGISTRYINDEX, t->ref);
    free(t);
}

static void cancel_wait(task *t)
{
    if (t->wait && t->wait->cancel) {
        t->wait->cancel(t);
    }
    t->wait = NULL;
    t->wait_arg = NULL;
    timer_stop(&t->timer);
    job_cancel(&t->job);
}

static void end_children(task *t)
{
    LIST_EACH_SAFE(node, &t->children)
    {
        task *child = list_item(node, task, sibling);
        if (child->on_end) {
            child->on_end(child, TASK_FAILED);
        }
        task_put(child);
    }
}

void task_put(task *t)
{
    script *s = t->s;
    REQUIRE(t->state != TASK_RUNNING);
    if (UNLIKELY(!list_is_empty(&t->children))) {
        end_children(t);
    }
    if (UNLIKELY(t->wait || t->parent || t->started || t->nargs || t->plan)) {
        cancel_wait(t);
        if (t->state == TASK_PARKED) {
            task_renew(t); /* a coroutine left in the middle can never be used again */
        }
        lua_settop(t->co, 0);
        t->nargs = 0;
    }
    if (t->ctx_ref != LUA_NOREF) {
        luaL_unref(s->L, LUA_REGISTRYINDEX, t->ctx_ref);
        t->ctx_ref = LUA_NOREF;
    }
    list_remove(&t->sibling);
    list_remove(&t->node);
    s->nbusy--;
    struct plan *kept = t->plan;
    t->r = NULL;
    t->plan = NULL;
    t->parent = NULL;
    t->on_end = NULL;
    t->owner = NULL;
    t->header_failed = false;
    t->phase = PHASE_COUNT;
    t->started = false;
    if (s->nspare < SPARE_MAX) {
        list_push_front(&s->spare, &t->node);
        s->nspare++;
    } else {
        task_free(t);
    }
    if (kept) {
        s->ndetached--;
        plan_unref(kept); /* may free s */
    }
}

static void enter(task *t)
{
    script *s = t->s;
    task_current = t;
    t->state = TASK_RUNNING;
    s->mem.limited = true;
    if (script_process.slot) {
        const board_policy *name = t->list ? &t->list->v[t->at].shown : &t->shown;
        board_hook_enter(script_process.slot, name, s->generation, t->phase, clock_ms());
    }
    budget_enter(s, t->co);
}

static void leave(task *t)
{
    t->budget_hit = budget_leave();
    if (UNLIKELY(budget_run.slow)) {
        budget_run.slow = false;
        clock_update(); /* else the next hook of this turn would seem to have begun when this one
                           did */
    }
    if (script_process.slot) {
        board_hook_leave(script_process.slot);
    }
    t->s->mem.limited = false;
    task_current = NULL;
}

int task_resume(task *t, int nargs)
{
    task *outer = task_current;
    REQUIRE(!outer); /* policy code never runs inside policy code: jobs only */
    enter(t);
    int rc = lua_resume(t->co, nargs);
    leave(t);
    if (rc == LUA_YIELD) {
        if (LIKELY(t->wait != NULL)) {
            t->state = TASK_PARKED;
            return TASK_WAITS;
        }
        lua_settop(t->co, 0);
        lua_pushliteral(t->co, "a hook called coroutine.yield outside of a coroutine of its own");
        t->state = TASK_IDLE;
        return TASK_FAILED;
    }
    t->state = TASK_IDLE;
    return rc == 0 ? TASK_DONE : TASK_FAILED;
}

int task_continue(task *t)
{
    int n = t->wait->poll(t, t->co);
    if (n == ERR_AGAIN) {
        return TASK_WAITS;
    }
    t->wait = NULL;
    t->wait_arg = NULL;
    timer_stop(&t->timer);
    return task_resume(t, n);
}

static bool is_background(const task *t)
{
    return !t->r && t->plan;
}

int task_park(lua_State *L, const struct wait_ops *ops, void *arg, int64_t deadline_ms)
{
    task *t = task_current;
    if (!t) {
        return luaL_error(L, "%s: cannot wait here: only hooks and tasks can", ops->kind);
    }
    if (t->co != L) {
        if (ops->cancel) {
            t->wait_arg = arg;
            ops->cancel(t);
        }
        return luaL_error(
            L, "%s: cannot wait inside a coroutine made with coroutine.create; use mg.spawn",
            ops->kind);
    }
    if (UNLIKELY(ops->is_idle && t->s->retired && is_background(t))) {
        lua_pushlightuserdata(L, t); /* no message: task_end is silent about it */
        return lua_error(L);
    }
    t->wait = ops;
    t->wait_arg = arg;
    t->timed_out = false;
    t->wait_since_ms = clock_ms();
    if (deadline_ms >= 0) {
        timer_set(script_process.l, &t->timer, deadline_ms);
    }
    lua_settop(L, 0);
    return lua_yield(L, 0);
}

void task_wake(task *t)
{
    if (t->r && !t->parent) {
        req_wake(t->r);
    } else {
        job_wake(script_process.l, &t->job);
    }
}

/* A subtask or background task is over: tells its owner, logs an error nobody waits for. */
static void task_end(task *t, int outcome)
{
    bool ended = outcome == TASK_FAILED && lua_touserdata(t->co, -1) == t;
    if (outcome == TASK_FAILED && !ended) {
        const char *message = lua_tostring(t->co, -1);
        log_error("script: task of policy '%.*s' failed: %s", (int)sizeof t->shown.name,
                  t->shown.name, message ? message : "(error object is not a string)");
        stats_add(STAT_HOOK_ERRORS, 1);
    }
    if (t->on_end) {
        t->on_end(t, outcome);
    }
    if (outcome == TASK_FAILED) {
        task_renew(t);
    }
    task_put(t);
}

static void on_job(job *j)
{
    task *t = container_of(j, task, job);
    int rc;
    if (!t->started) {
        t->started = true;
        int nargs = t->nargs;
        t->nargs = 0;
        rc = task_resume(t, nargs);
    } else if (t->state == TASK_PARKED) {
        rc = task_continue(t);
    } else {
        return;
    }
    if (rc != TASK_WAITS) {
        task_end(t, rc);
    }
}

static uint32_t count(const list *head)
{
    uint32_t n = 0;
    LIST_EACH(it, head)
    {
        n++;
    }
    return n;
}

task *task_spawn(script *s, lua_State *L, int nargs, task *parent)
{
    if (parent ? count(&parent->children) >= SUBTASKS_MAX : s->ndetached >= BACKGROUND_MAX) {
        return NULL;
    }
    task *t = task_get(s);
    lua_xmove(L, t->co, nargs + 1);
    t->nargs = nargs;
    t->list = NULL;
    t->started = false;
    if (parent) {
        t->parent = parent;
        t->r = parent->r;
        list_push_back(&parent->children, &t->sibling);
    } else {
        t->plan = s->plan ? plan_ref(s->plan) : NULL;
        s->ndetached += t->plan ? 1 : 0;
    }
    if (task_current) {
        t->shown = task_current->list ? task_current->list->v[task_current->at].shown
                                      : task_current->shown;
    }
    job_wake(script_process.l, &t->job);
    return t;
}

void task_retire(script *s)
{
    s->retired = true;
    LIST_EACH_SAFE(node, &s->busy)
    {
        task *t = list_item(node, task, node);
        if (is_background(t) && t->state == TASK_PARKED && t->wait->is_idle) {
            task_put(t);
        }
    }
}

void task_drop_all(script *s)
{
    LIST_EACH(node, &s->busy)
    {
        task *t = list_item(node, task, node);
        t->plan = NULL; /* its last reference is what brought us here */
        if (t->r && !t->parent) {
            t->r->script = NULL;
        }
        list_init(&t->children); /* they are on the list too */
        list_init(&t->sibling);
    }
    LIST_EACH_SAFE(node, &s->busy)
    {
        task_put(list_item(node, task, node));
    }
    LIST_EACH_SAFE(node, &s->spare)
    {
        task_free(list_item(node, task, node));
    }
    list_init(&s->spare);
}
