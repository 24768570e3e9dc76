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
#include "shm/stats.h"

enum { KEY_MAX = 1024 };

static const char TYPE[] = "limit";

struct limiter {
    struct api_head head;
    uint64_t id;          /* hash of the name: limits of one name share their counters */
    int64_t emission_us;  /* rate; 0: only concurrency */
    uint32_t burst;
    uint32_t concurrent;  /* 0: only a rate */
};

/* Found once per process; the segments live as long as it does. */
static limit *rates;
static limit_conn *conns;

static limit *rate_table(lua_State *L)
{
    if (UNLIKELY(!rates)) {
        seg *s = seg_find(STR("limit"));
        if (!s || limit_open(s, &rates) < 0) {
            luaL_error(L, "there is no shared memory for limits in this process");
        }
        seg_ref(s);
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

/* The limit's id in front of the key; long keys by their hash, so that the whole fits. */
static str full_key(lua_State *L, const struct limiter *l, char *room)
{
    int type = lua_type(L, 2);
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
    limit_ask a = {.emission_us = l->emission_us, .burst = l->burst, .cost = cost, .now_us = clock_us(), .dry = dry};
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
    int verdict = judge(L, l, (uint32_t)luaL_optnumber(L, 3, 1), dry, &r);
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

static void add_number(lua_State *L, req *r, str name, int64_t v)
{
    char *room = pool_alloc(&r->pool, 24);
    fmt f = fmt_of(room, 24);
    fmt_i64(&f, v);
    if (headers_add(&r->res.h, name, fmt_str(&f)) < 0) {
        luaL_error(L, "too many header fields");
    }
}

/* Answers a refusal, all of it here: this is the path that must stay cheap when someone hammers (a table and four conversions
 * in Lua cost three times as much). */
static void refuse(lua_State *L, const struct limiter *l, const limit_result *r, int status, bool report)
{
    req *rq = api_request(L);
    api_answer(L, status, status == 429 ? STR("429 Too Many Requests\n") : STR_EMPTY, STR_EMPTY);
    if (r->retry_us >= 0) {
        add_number(L, rq, STR("Retry-After"), ceil_seconds(r->retry_us));
    }
    if (report) {
        add_number(L, rq, STR("RateLimit-Limit"), (int64_t)l->burst + 1);
        add_number(L, rq, STR("RateLimit-Remaining"), r->remaining);
        add_number(L, rq, STR("RateLimit-Reset"), ceil_seconds(r->reset_us));
    }
    hook_push_mark(L);
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
        refuse(L, l, &r, (int)status, report);
        return 1;
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
    lua_Number emission = luaL_checknumber(L, 2), burst = luaL_checknumber(L, 3), concurrent = luaL_checknumber(L, 4);
    struct limiter *l = api_new(L, TYPE, sizeof *l);
    l->id = hash_keyed(str_of(name, n), 0x6d6f6f6e, 0x67617465);
    l->emission_us = emission > 0 && emission < 1 ? 1 : (int64_t)emission;
    l->burst = (uint32_t)burst;
    l->concurrent = (uint32_t)concurrent;
    return 1;
}

static const struct api_fn rows[] = {
    {"take", limit_take, API_ANY, "(key: string, cost?: integer): boolean, number, integer, number, number",
     "counts a request: allowed; seconds until it would be (-1: never); units left; seconds until all are back; delay that smooths"},
    {"admit", limit_admit, API_EARLY, "(key: string, status?: integer, report?: boolean): moongate.Verdict|nil, integer, integer, number",
     "counts a request and answers it when it is one too many (429, Retry-After; RateLimit-* when `report`): `return` the verdict if there is one; else nil, units left, whole seconds until all are back, delay that smooths"},
    {"peek", limit_peek, API_ANY, "(key: string, cost?: integer): boolean, number, integer, number, number", "the same without counting"},
    {"forget", forget, API_ANY, "(key: string)", "forgives a key"},
    {"enter", limit_enter, API_REQUEST, "(key: string): boolean, integer",
     "one more at once, until the request is over; false when `concurrent` are there"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_limit = {"limit", rows, NULL};

void api_limit_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, TYPE, &api_limit);
    lua_pop(L, 1);
    lua_pushcfunction(L, new_limiter);
    lua_setfield(L, -2, "limiter");
}
