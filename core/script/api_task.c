/* api_task.c — mg.sleep, mg.spawn, mg.background and waiting for a subtask. */
#include "script/api.h"

#include "base/err.h"
#include "script/task.h"

static const char TYPE[] = "task";

/* What mg.spawn returns. Results stay in its environment until somebody waits for them. */
struct handle {
    struct api_head head;
    task *t;      /* NULL: over */
    task *waiter; /* who waits; NULL: nobody */
    int self_ref; /* keeps the handle while the task runs */
    bool failed, cancelled;
};

static int poll_sleep(task *t, lua_State *co)
{
    (void)co;
    return t->timed_out ? 0 : ERR_AGAIN;
}

static const struct wait_ops sleep_wait = {.kind = "mg.sleep", .is_idle = true, .poll = poll_sleep};

static int task_sleep(lua_State *L)
{
    lua_Number s = luaL_checknumber(L, 1);
    if (!(s >= 0 && s <= 86400.0 * 365)) {
        return luaL_error(L, "sleep: seconds must be a number, 0 or more");
    }
    return task_park(L, &sleep_wait, NULL, (int64_t)(s * 1000));
}

/* true and the results, or false and the error. */
static int push_results(lua_State *co, const struct handle *h)
{
    if (h->cancelled) {
        lua_pushboolean(co, false);
        lua_pushliteral(co, "cancelled");
        return 2;
    }
    lua_rawgeti(co, LUA_REGISTRYINDEX, h->self_ref);
    lua_getfenv(co, -1);
    lua_remove(co, -2);
    int table = lua_gettop(co), n = (int)lua_objlen(co, table);
    lua_pushboolean(co, !h->failed);
    luaL_checkstack(co, n + 2, "too many results");
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(co, table, i);
    }
    lua_remove(co, table);
    return n + 1;
}

static void on_end(task *t, int outcome)
{
    struct handle *h = t->owner;
    script *s = t->s;
    h->t = NULL;
    h->failed = outcome == TASK_FAILED;
    h->cancelled = t->state == TASK_PARKED || t->nargs || !t->started;
    int n = h->cancelled ? 0 : outcome == TASK_FAILED ? 1 : lua_gettop(t->co);
    lua_rawgeti(s->L, LUA_REGISTRYINDEX, h->self_ref);
    lua_createtable(s->L, n, 0);
    for (int i = n; i > 0; i--) {
        lua_xmove(t->co, s->L, 1);
        lua_rawseti(s->L, -2, i);
    }
    lua_setfenv(s->L, -2);
    lua_pop(s->L, 1);
    if (h->waiter) {
        task_wake(h->waiter);
    } else {
        luaL_unref(s->L, LUA_REGISTRYINDEX, h->self_ref);
        h->self_ref = LUA_NOREF;
    }
}

static int spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    task *now = task_current;
    task *main_task = now ? task_main(now) : NULL;
    if (!main_task) {
        return luaL_error(L, "spawn: only a request's hook has subtasks; use background");
    }
    int nargs = lua_gettop(L) - 1;
    struct handle *h = api_new(L, TYPE, sizeof *h);
    lua_insert(L, 1);
    task *t = task_spawn(now->s, L, nargs, main_task);
    if (!t) {
        lua_pushnil(L);
        lua_pushliteral(L, "too many subtasks");
        return 2;
    }
    h->t = t;
    lua_pushvalue(L, 1);
    h->self_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    t->owner = h;
    t->on_end = on_end;
    lua_settop(L, 1);
    return 1;
}

static int background(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    script *s = task_current ? task_current->s : vm_of(L);
    if (!script_process.l || !s->plan) {
        return luaL_error(L, "background: there is no loop here; start tasks in a hook or in init");
    }
    lua_pushboolean(L, task_spawn(s, L, lua_gettop(L) - 1, NULL) != NULL);
    return 1;
}

static int poll_wait(task *t, lua_State *co)
{
    struct handle *h = t->wait_arg;
    if (h->t && !t->timed_out) {
        return ERR_AGAIN;
    }
    h->waiter = NULL;
    if (h->t) {
        lua_pushnil(co);
        lua_pushliteral(co, "timeout");
        return 2;
    }
    int n = push_results(co, h);
    luaL_unref(t->s->L, LUA_REGISTRYINDEX, h->self_ref);
    h->self_ref = LUA_NOREF;
    return n;
}

static void cancel_wait(task *t)
{
    struct handle *h = t->wait_arg;
    h->waiter = NULL;
}

static const struct wait_ops result_wait = {
    .kind = "task:wait", .poll = poll_wait, .cancel = cancel_wait};

static int handle_wait(lua_State *L)
{
    struct handle *h = api_check(L, 1, TYPE, sizeof *h);
    lua_Number s = luaL_optnumber(L, 2, 60);
    if (!(s >= 0 && s <= 86400.0 * 365)) {
        return luaL_error(L, "wait: the timeout must be a number of seconds, 0 or more");
    }
    if (h->waiter) {
        return luaL_error(L, "wait: another task waits for this one already");
    }
    if (!h->t) {
        if (h->cancelled) {
            lua_pushboolean(L, false);
            lua_pushliteral(L, "cancelled");
            return 2;
        }
        lua_getfenv(L, 1);
        int n = (int)lua_objlen(L, -1), table = lua_gettop(L);
        lua_pushboolean(L, !h->failed);
        for (int i = 1; i <= n; i++) {
            lua_rawgeti(L, table, i);
        }
        return n + 1;
    }
    if (h->t == task_current) {
        return luaL_error(L, "wait: a task cannot wait for itself");
    }
    h->waiter = task_current;
    return task_park(L, &result_wait, h, (int64_t)(s * 1000));
}

static int handle_cancel(lua_State *L)
{
    struct handle *h = api_check(L, 1, TYPE, sizeof *h);
    if (!h->t || h->t == task_current) {
        lua_pushboolean(L, false);
        return 1;
    }
    task *t = h->t;
    t->nargs = t->started ? t->nargs : 1;
    on_end(t, TASK_FAILED);
    t->on_end = NULL;
    task_put(t);
    lua_pushboolean(L, true);
    return 1;
}

static const struct api_fn handle_rows[] = {
    {"wait", handle_wait, API_ANY, "(timeout?: number): boolean|nil, ...",
     "true and its results; false and its error; nil, \"timeout\" after 60 s"},
    {"cancel", handle_cancel, API_ANY, "(): boolean", "ends it where it waits"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_subtask = {"subtask", handle_rows, NULL};

static const struct api_fn rows[] = {
    {"sleep", task_sleep, API_ANY, "(seconds: number)", "waits"},
    {"spawn", spawn, API_REQUEST, "(fn: function, ...): moongate.Task|nil, string|nil",
     "runs fn beside the hook; it ends with the request at the latest"},
    {"background", background, API_ANY, "(fn: function, ...): boolean",
     "runs fn without the request, as long as it takes"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_task = {"task", rows, NULL};

void api_task_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, TYPE, &api_subtask);
    lua_pop(L, 1);
}
