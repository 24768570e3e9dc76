/* api_limit.c — mg.limit: request rates and concurrency per key, counted over all workers. */
#include "flow/hook.h"
#include "flow/req.h"
#include "http/headers.h"
#include "net/addr.h"
#include "script/api.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "script/hook.h"
#include "script/task.h"
#include "shm/limit.h"
#include "shm/seg.h"
#include "shm/stats.h"

enum { KEY_MAX = 1024 };

static const char TYPE[] = "limit";

struct limiter {
    struct api_head head;
    uint64_t id;         /* hash of the name: limits of one name share their counters */
    int64_t emission_us; /* rate; 0: only concurrency */
    uint32_t burst;
    uint32_t concurrent; /* 0: only a rate */
};

/* Found once per process; the segments live as long as it does. */
static limit *rates;
static limit_conn *conns;

static bool find_rates(void)
{
    if (UNLIKELY(!rates)) {
        seg *s = seg_find(STR("limit"));
        if (!s || limit_open(s, &rates) < 0) {
            return false;
        }
        seg_ref(s);
    }
    return true;
}

static limit *rate_table(lua_State *L)
{
    if (UNLIKELY(!find_rates())) {
        luaL_error(L, "there is no shared memory for limits in this process");
    }
    return rates;
}

static limit_conn *conn_table(lua_State *L)
{
    if (UNLIKELY(!conns)) {
        seg *s = seg_find(STR("limit_conn"));
        if (!s || limit_conn_open(s, script_workers(), &conns) < 0) {
            luaL_error(L, "there is no shared memory for limits in this process");
        }
        seg_ref(s);
    }
    return conns;
}

/* The client's address, without making text of it. */
static str address_key(const struct limiter *l, const req *r, char *room)
{
    const addr *a = &r->client.addr;
    bool v6 = a->sa.sa_family == AF_INET6;
    const void *bytes = v6 ? (const void *)&a->in6.sin6_addr : (const void *)&a->in.sin_addr;
    size_t size = v6                           ? sizeof a->in6.sin6_addr
                  : a->sa.sa_family == AF_INET ? sizeof a->in.sin_addr
                                               : 0;
    memcpy(room, &l->id, sizeof l->id);
    memcpy(room + sizeof l->id, bytes, size);
    return str_of(room, sizeof l->id + size);
}

/* The limit's id in front of the key; long keys by their hash, so that the whole fits. */
static str full_key(lua_State *L, const struct limiter *l, char *room)
{
    int type = lua_type(L, 2);
    if (type == LUA_TNIL || type == LUA_TNONE) {
        return address_key(l, api_request(L), room);
    }
    if (type != LUA_TSTRING && type != LUA_TNUMBER) {
        luaL_error(L, "the key of a limit must be a string, got %s", luaL_typename(L, 2));
    }
    str key = vm_str(L, 2);
    memcpy(room, &l->id, sizeof l->id);
    size_t n = key.n < KEY_MAX ? key.n : KEY_MAX - sizeof(uint64_t);
    memcpy(room + sizeof l->id, key.p, n);
    if (n < key.n) {
        uint64_t rest = hash_bytes(str_from(key, n));
        memcpy(room + sizeof l->id + n, &rest, sizeof rest);
        n += sizeof rest;
    }
    return str_of(room, sizeof l->id + n);
}

/* LIMIT_*: asks for `cost` units of the key at index 2. */
static int judge(lua_State *L, const struct limiter *l, uint32_t cost, bool dry, limit_result *r)
{
    if (!l->emission_us) {
        return luaL_error(L, "this limit has no rate; use enter");
    }
    char room[sizeof l->id + KEY_MAX + sizeof(uint64_t)];
    str key = full_key(L, l, room);
    limit_ask a = {.emission_us = l->emission_us,
                   .burst = l->burst,
                   .cost = cost,
                   .now_us = clock_us(),
                   .dry = dry};
    int verdict = limit_rate(rate_table(L), key, &a, r);
    if (verdict == LIMIT_REFUSED && !dry) {
        stats_add(STAT_LIMITED, 1);
    }
    return verdict;
}

static int ask(lua_State *L, bool dry)
{
    const struct limiter *l = api_check(L, 1, TYPE, sizeof *l);
    limit_result r;
    int verdict = judge(L, l, api_count(L, 3, 1, "cost"), dry, &r);
    lua_pushboolean(L, verdict != LIMIT_REFUSED);
    lua_pushnumber(L, r.retry_us < 0 ? -1 : (double)r.retry_us / 1e6);
    lua_pushnumber(L, r.remaining);
    lua_pushnumber(L, (double)r.reset_us / 1e6);
    lua_pushnumber(L, (double)r.delay_us / 1e6);
    return 5;
}

static int limit_take(lua_State *L)
{
    return ask(L, false);
}

static int limit_peek(lua_State *L)
{
    return ask(L, true);
}

static int64_t ceil_seconds(int64_t us)
{
    return (us + 999999) / 1000000;
}

static int add_number(req *r, headers *to, str name, int64_t v)
{
    char *room = pool_alloc(&r->pool, 24);
    fmt f = fmt_of(room, 24);
    fmt_i64(&f, v);
    return headers_add(to, name, fmt_str(&f));
}

static int add_report(req *r, headers *to, const struct limiter *l, const limit_result *res)
{
    int rc = add_number(r, to, STR("RateLimit-Limit"), (int64_t)l->burst + 1);
    rc = rc < 0 ? rc : add_number(r, to, STR("RateLimit-Remaining"), res->remaining);
    return rc < 0 ? rc : add_number(r, to, STR("RateLimit-Reset"), ceil_seconds(res->reset_us));
}

/* Answers a refusal, all of it here: this is the path that must stay cheap when someone hammers (a
 * table and four conversions in Lua cost three times as much). */
static int refuse(req *r, const struct limiter *l, const limit_result *res, int status, bool report)
{
    req_reply(r, status, status == 429 ? STR("429 Too Many Requests\n") : STR_EMPTY, STR_EMPTY);
    int rc = res->retry_us >= 0
                 ? add_number(r, &r->res.h, STR("Retry-After"), ceil_seconds(res->retry_us))
                 : 0;
    return rc == 0 && report ? add_report(r, &r->res.h, l, res) : rc;
}

/* For whatever answer the request will get. */
static int announce(req *r, const struct limiter *l, const limit_result *res)
{
    if (!r->extra.pool) {
        headers_init(&r->extra, &r->pool);
    }
    return add_report(r, &r->extra, l, res);
}

/* -- a guard: an access hook in C, called without a coroutine; in a spec also as the function it is
 */

struct guard {
    struct api_head head;
    const struct limiter *l; /* anchored by the guard function's upvalue */
    int status;
    bool report;
};

static const char GUARD[] = "limit.guard";

static int run_guard(req *r, void *arg)
{
    const struct guard *g = arg;
    if (!find_rates()) {
        return ERR_SCRIPT;
    }
    char room[sizeof g->l->id + sizeof(struct in6_addr)];
    str key = address_key(g->l, r, room);
    limit_ask a = {
        .emission_us = g->l->emission_us, .burst = g->l->burst, .cost = 1, .now_us = clock_us()};
    limit_result res;
    int verdict = limit_rate(rates, key, &a, &res);
    if (verdict == LIMIT_REFUSED) {
        stats_add(STAT_LIMITED, 1);
        int rc = refuse(r, g->l, &res, g->status, g->report);
        return rc < 0 ? rc : HOOK_ANSWER;
    }
    int rc = g->report ? announce(r, g->l, &res) : 0;
    return rc < 0 ? rc : HOOK_NEXT;
}

static int call_guard(lua_State *L)
{
    int verdict = run_guard(api_request(L), lua_touserdata(L, lua_upvalueindex(1)));
    if (verdict < 0) {
        return luaL_error(L, "%s", err_text(verdict));
    }
    if (verdict == HOOK_NEXT) {
        return 0;
    }
    api_answered(L);
    hook_push_mark(L);
    return 1;
}

/* limiter:guard(status, report): the hook itself. */
static int guard_new(lua_State *L)
{
    const struct limiter *l = api_check(L, 1, TYPE, sizeof *l);
    lua_Integer status = luaL_optinteger(L, 2, 429);
    if (!l->emission_us) {
        return luaL_error(L, "this limit has no rate; use enter");
    }
    if (status < 400 || status > 599) {
        return luaL_error(L, "a refusal has a status of 400 to 599, got %d", (int)status);
    }
    bool report = lua_toboolean(L, 3);
    struct guard *g = api_new(L, GUARD, sizeof *g);
    *g = (struct guard){.head = g->head, .l = l, .status = (int)status, .report = report};
    lua_pushvalue(L, 1); /* the limiter must live as long */
    lua_pushcclosure(L, call_guard, 2);
    return 1;
}

int (*api_limit_native(lua_State *L, int idx, void **arg))(struct req *r, void *arg)
{
    if (lua_tocfunction(L, idx) != call_guard || !lua_getupvalue(L, idx, 1)) {
        return NULL;
    }
    *arg = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return run_guard;
}

static int limit_admit(lua_State *L)
{
    const struct limiter *l = api_check(L, 1, TYPE, sizeof *l);
    lua_Integer status = luaL_optinteger(L, 3, 429);
    bool report = lua_toboolean(L, 4);
    if (status < 400 || status > 599) {
        return luaL_error(L, "a refusal has a status of 400 to 599, got %d", (int)status);
    }
    limit_result r;
    if (judge(L, l, 1, false, &r) == LIMIT_REFUSED) {
        if (refuse(api_request(L), l, &r, (int)status, report) < 0) {
            return luaL_error(L, "too many header fields");
        }
        api_answered(L);
        hook_push_mark(L);
        return 1;
    }
    if (report && announce(api_request(L), l, &r) < 0) {
        return luaL_error(L, "too many header fields");
    }
    lua_pushnil(L);
    lua_pushnumber(L, r.remaining);
    lua_pushnumber(L, (lua_Number)ceil_seconds(r.reset_us));
    lua_pushnumber(L, (double)r.delay_us / 1e6);
    return 4;
}

static int forget(lua_State *L)
{
    const struct limiter *l = api_check(L, 1, TYPE, sizeof *l);
    char room[sizeof l->id + KEY_MAX + sizeof(uint64_t)];
    limit_forget(rate_table(L), full_key(L, l, room));
    return 0;
}

static void release(void *arg)
{
    limit_conn_release(conns, (uint32_t)(uintptr_t)arg, script_process.index);
}

/* Held until the request is over: its pool gives it back. */
static int limit_enter(lua_State *L)
{
    const struct limiter *l = api_check(L, 1, TYPE, sizeof *l);
    if (!l->concurrent) {
        return luaL_error(L, "this limit has no concurrent = n");
    }
    req *r = api_request(L);
    char room[sizeof l->id + KEY_MAX + sizeof(uint64_t)];
    str key = full_key(L, l, room);
    uint32_t slot;
    int rc = limit_conn_take(conn_table(L), key, l->concurrent, script_process.index, &slot);
    if (rc > 0) {
        pool_on_fini(&r->pool, release, (void *)(uintptr_t)slot);
    } else {
        stats_add(STAT_LIMITED, 1);
    }
    lua_pushboolean(L, rc > 0);
    lua_pushnumber(L, rc > 0 ? (double)rc : (double)l->concurrent);
    return 2;
}

/* core.limiter(name, emission_us, burst, concurrent): arguments were checked in Lua. */
static int new_limiter(lua_State *L)
{
    size_t n;
    const char *name = luaL_checklstring(L, 1, &n);
    lua_Number emission = luaL_checknumber(L, 2), burst = luaL_checknumber(L, 3),
               concurrent = luaL_checknumber(L, 4);
    struct limiter *l = api_new(L, TYPE, sizeof *l);
    l->id = hash_keyed(str_of(name, n), 0x6d6f6f6e, 0x67617465);
    l->emission_us = emission > 0 && emission < 1 ? 1 : (int64_t)emission;
    l->burst = (uint32_t)burst;
    l->concurrent = (uint32_t)concurrent;
    return 1;
}

static const struct api_fn rows[] = {
    {"take", limit_take, API_ANY,
     "(key: string, cost?: integer): boolean, number, integer, number, number",
     "counts a request: allowed; seconds until it would be (-1: never); units left; seconds until "
     "all are back; delay that smooths"},
    {"admit", limit_admit, API_EARLY,
     "(key: string|nil, status?: integer, report?: boolean): moongate.Verdict|nil, integer, "
     "integer, number",
     "counts a request and answers it when it is one too many (429, Retry-After; RateLimit-* when "
     "`report`): `return` the verdict if "
     "there is one; else nil, units left, whole seconds until all are back, delay that smooths. "
     "Without a key: the client's address"},
    {"guard", guard_new, API_ANY, "(status?: integer, report?: boolean): function",
     "an access hook that counts by client address and refuses what is too much; runs in C, "
     "without a coroutine. `hooks.access = limit:guard(429, true)`"},
    {"peek", limit_peek, API_ANY,
     "(key: string, cost?: integer): boolean, number, integer, number, number",
     "the same without counting"},
    {"forget", forget, API_ANY, "(key: string)", "forgives a key"},
    {"enter", limit_enter, API_REQUEST, "(key: string): boolean, integer",
     "one more at once, until the request is over; false when `concurrent` are there"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_limit = {"limit", rows, NULL};

static const struct api_fn no_rows[] = {{NULL, NULL, 0, NULL, NULL}};
static const struct api_table no_methods = {"limit.guard", no_rows, NULL};

void api_limit_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, TYPE, &api_limit);
    api_type(L, GUARD, &no_methods);
    lua_pop(L, 2);
    lua_pushcfunction(L, new_limiter);
    lua_setfield(L, -2, "limiter");
}
