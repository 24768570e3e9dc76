/* api_shared.c — mg.shared: dictionaries in shared memory. Names and results are those of
 * ngx.shared. */
#include "script/api.h"

#include "base/clock.h"
#include "base/err.h"
#include "shm/dict.h"
#include "shm/seg.h"

#include <stdio.h>

enum { VALUE_ROOM = 65536, KEYS_ROOM = 65536 };

static const char TYPE[] = "shared dictionary";

struct shared {
    struct api_head head;
    dict *d; /* NULL until it is used for the first time */
    seg *s;  /* a reference */
    char name[48];
};

/* Strings are copied out of shared memory under its lock, into here, and from here into Lua. */
static char value_room[VALUE_ROOM];

static void attach(lua_State *L, struct shared *o)
{
    char name[SEG_NAME_MAX + 1];
    snprintf(name, sizeof name, "dict:%s", o->name);
    seg *s = seg_find(str_c(name));
    if (!s || dict_open(s, &o->d) < 0) {
        luaL_error(
            L,
            "there is no shared dictionary '%s'; declare it: gateway { shared = { %s = \"1m\" } }",
            o->name, o->name);
    }
    o->s = seg_ref(s);
}

static dict *self(lua_State *L)
{
    struct shared *o = api_check(L, 1, TYPE, sizeof *o);
    if (UNLIKELY(!o->d)) {
        attach(L, o);
    }
    return o->d;
}

static str key_arg(lua_State *L)
{
    int type = lua_type(L, 2);
    if (UNLIKELY(type != LUA_TSTRING && type != LUA_TNUMBER)) {
        luaL_error(L, "the key must be a string, got %s", luaL_typename(L, 2));
    }
    return vm_str(L, 2);
}

static dict_value value_arg(lua_State *L, int idx)
{
    dict_value v = {.type = DICT_NIL};
    switch (lua_type(L, idx)) {
    case LUA_TNONE:
    case LUA_TNIL:
        break;
    case LUA_TBOOLEAN:
        v.type = DICT_BOOLEAN;
        v.boolean = lua_toboolean(L, idx);
        break;
    case LUA_TNUMBER:
        v.type = DICT_NUMBER;
        v.num = lua_tonumber(L, idx);
        break;
    case LUA_TSTRING:
        v.type = DICT_STRING;
        v.s = vm_str(L, idx);
        break;
    default:
        luaL_error(L, "a shared dictionary holds strings, numbers and booleans, not a %s",
                   luaL_typename(L, idx));
    }
    return v;
}

/* Seconds to milliseconds. */
static int64_t ttl_arg(lua_State *L, int idx)
{
    lua_Number s = luaL_optnumber(L, idx, 0);
    if (!(s >= 0 && s < 1e12)) {
        luaL_error(L, "the time to live must be a number of seconds, 0 or more");
    }
    return s > 0 && s < 0.001 ? 1 : (int64_t)(s * 1000);
}

static const char *failure(int rc)
{
    switch (rc) {
    case ERR_NOT_FOUND:
        return "not found";
    case ERR_EXISTS:
        return "exists";
    case ERR_MEM:
        return "no memory";
    case ERR_INVALID:
        return "not a number";
    default:
        return err_text(rc);
    }
}

static void push_value(lua_State *L, const dict_value *v)
{
    switch (v->type) {
    case DICT_BOOLEAN:
        lua_pushboolean(L, v->boolean);
        break;
    case DICT_NUMBER:
        lua_pushnumber(L, v->num);
        break;
    case DICT_STRING:
        lua_pushlstring(L, v->s.p, v->s.n);
        break;
    case DICT_NIL:
    case DICT_LIST:
        lua_pushnil(L);
        break;
    }
}

typedef int reader(dict *d, str key, int64_t now_ms, dict_value *v);

/* Reads once more with room from the VM when the value is larger than ours; the value may grow
 * meanwhile. */
static int read_value(lua_State *L, reader *fn, dict_value *v)
{
    dict *d = self(L);
    str key = key_arg(L);
    *v = (dict_value){.buf = value_room, .cap = sizeof value_room};
    int rc = fn(d, key, clock_ms(), v);
    while (UNLIKELY(rc == ERR_LIMIT)) {
        size_t need = v->s.n;
        *v = (dict_value){.buf = lua_newuserdata(L, need), .cap = need};
        rc = fn(d, key, clock_ms(), v);
    }
    return rc;
}

static int shared_get(lua_State *L)
{
    dict_value v;
    int rc = read_value(L, dict_get, &v);
    if (rc < 0) {
        lua_pushnil(L);
        if (rc == ERR_NOT_FOUND) {
            return 1;
        }
        lua_pushliteral(L, "value is a list");
        return 2;
    }
    push_value(L, &v);
    if (v.flags) {
        lua_pushnumber(L, v.flags);
        return 2;
    }
    return 1;
}

static int shared_get_stale(lua_State *L)
{
    dict_value v;
    int rc = read_value(L, dict_get_stale, &v);
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushnil(L);
        lua_pushboolean(L, false);
        return 3;
    }
    push_value(L, &v);
    if (v.flags) {
        lua_pushnumber(L, v.flags);
    } else {
        lua_pushnil(L);
    }
    lua_pushboolean(L, v.stale);
    return 3;
}

typedef int writer(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms);

/* true, nil, forcible; or false, why, forcible. */
static int write_value(lua_State *L, writer *fn)
{
    dict *d = self(L);
    str key = key_arg(L);
    dict_value v = value_arg(L, 3);
    v.flags = api_count(L, 5, 0, "flags");
    int rc = fn(d, key, &v, ttl_arg(L, 4), clock_ms());
    lua_pushboolean(L, rc >= 0);
    if (rc >= 0) {
        lua_pushnil(L);
    } else {
        lua_pushstring(L, failure(rc));
    }
    lua_pushboolean(L, rc == DICT_FORCED);
    return 3;
}

static int shared_set(lua_State *L)
{
    return write_value(L, dict_set);
}

static int shared_safe_set(lua_State *L)
{
    return write_value(L, dict_safe_set);
}

static int shared_add(lua_State *L)
{
    return write_value(L, dict_add);
}

static int shared_safe_add(lua_State *L)
{
    return write_value(L, dict_safe_add);
}

static int shared_replace(lua_State *L)
{
    return write_value(L, dict_replace);
}

static int shared_delete(lua_State *L)
{
    dict_delete(self(L), key_arg(L));
    lua_pushboolean(L, true);
    return 1;
}

static int shared_incr(lua_State *L)
{
    dict *d = self(L);
    str key = key_arg(L);
    double by = luaL_checknumber(L, 3), out = 0;
    int rc;
    if (lua_isnoneornil(L, 4)) {
        rc = dict_incr(d, key, by, clock_ms(), &out);
    } else {
        dict_incr_init how = {.by = by, .init = luaL_checknumber(L, 4), .ttl_ms = ttl_arg(L, 5)};
        rc = dict_incr_or_init(d, key, &how, clock_ms(), &out);
    }
    if (UNLIKELY(rc < 0)) {
        lua_pushnil(L);
        lua_pushstring(L, failure(rc));
        return 2;
    }
    lua_pushnumber(L, out);
    if (UNLIKELY(rc == DICT_FORCED)) {
        lua_pushnil(L);
        lua_pushboolean(L, true);
        return 3;
    }
    return 1;
}

static int shared_expire(lua_State *L)
{
    int rc = dict_expire(self(L), key_arg(L), ttl_arg(L, 3), clock_ms());
    lua_pushboolean(L, rc == 0);
    if (rc == 0) {
        return 1;
    }
    lua_pushstring(L, failure(rc));
    return 2;
}

static int shared_ttl(lua_State *L)
{
    int64_t ms;
    int rc = dict_ttl(self(L), key_arg(L), clock_ms(), &ms);
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushstring(L, failure(rc));
        return 2;
    }
    lua_pushnumber(L, (double)ms / 1000.0);
    return 1;
}

typedef int pusher(dict *d, str key, const dict_value *v, int64_t now_ms);

static int push_item(lua_State *L, pusher *fn)
{
    dict_value v = value_arg(L, 3);
    int rc = fn(self(L), key_arg(L), &v, clock_ms());
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushstring(L, rc == ERR_INVALID ? "value not a list" : failure(rc));
        return 2;
    }
    lua_pushinteger(L, rc);
    return 1;
}

static int shared_lpush(lua_State *L)
{
    return push_item(L, dict_lpush);
}

static int shared_rpush(lua_State *L)
{
    return push_item(L, dict_rpush);
}

static int pop_item(lua_State *L, reader *fn)
{
    dict_value v;
    int rc = read_value(L, fn, &v);
    if (rc < 0) {
        lua_pushnil(L);
        if (rc == ERR_NOT_FOUND) {
            return 1;
        }
        lua_pushliteral(L, "value not a list");
        return 2;
    }
    push_value(L, &v);
    return 1;
}

static int shared_lpop(lua_State *L)
{
    return pop_item(L, dict_lpop);
}

static int shared_rpop(lua_State *L)
{
    return pop_item(L, dict_rpop);
}

static int shared_llen(lua_State *L)
{
    int rc = dict_llen(self(L), key_arg(L), clock_ms());
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "value not a list");
        return 2;
    }
    lua_pushinteger(L, rc);
    return 1;
}

static int shared_flush_all(lua_State *L)
{
    dict_flush_all(self(L));
    return 0;
}

static int shared_flush_expired(lua_State *L)
{
    lua_pushnumber(L, dict_flush_expired(self(L), api_count(L, 2, 0, "max"), clock_ms()));
    return 1;
}

static int shared_get_keys(lua_State *L)
{
    dict *d = self(L);
    uint32_t max = api_count(L, 2, 1024, "max");
    dict_keys keys = {.buf = value_room, .cap = sizeof value_room};
    dict_get_keys(d, max, clock_ms(), &keys);
    while (keys.need > keys.cap) {
        size_t need = keys.need;
        keys = (dict_keys){.buf = lua_newuserdata(L, need), .cap = need};
        dict_get_keys(d, max, clock_ms(), &keys);
    }
    lua_createtable(L, (int)keys.n, 0);
    size_t at = 0;
    str key;
    for (int i = 1; dict_keys_next(&keys, &at, &key); i++) {
        vm_push(L, key);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

static int shared_capacity(lua_State *L)
{
    lua_pushnumber(L, (double)dict_capacity(self(L)));
    return 1;
}

static int shared_free_space(lua_State *L)
{
    lua_pushnumber(L, (double)dict_free_space(self(L)));
    return 1;
}

static int shared_gc(lua_State *L)
{
    struct shared *o = lua_touserdata(L, 1);
    if (o && o->s) {
        seg_close(o->s);
        o->s = NULL;
    }
    return 0;
}

static int open_dict(lua_State *L)
{
    str name = vm_str(L, 1);
    struct shared *o;
    if (lua_type(L, 1) != LUA_TSTRING || name.n >= sizeof o->name) {
        return luaL_error(L, "the name of a shared dictionary is a string of at most 47 bytes");
    }
    o = api_new(L, TYPE, sizeof *o);
    memcpy(o->name, name.p, name.n);
    return 1;
}

static const struct api_fn rows[] = {
    {"get", shared_get, API_ANY, "(key: string): any, integer|string|nil",
     "value and flags; nil when absent"},
    {"get_stale", shared_get_stale, API_ANY, "(key: string): any, integer|nil, boolean",
     "finds expired values too; the third result says so"},
    {"set", shared_set, API_ANY,
     "(key: string, value: any, ttl?: number, flags?: integer): boolean, string|nil, boolean",
     "stores; ttl in seconds. true; or false and why; third: others were evicted"},
    {"safe_set", shared_safe_set, API_ANY,
     "(key: string, value: any, ttl?: number, flags?: integer): boolean, string|nil",
     "never evicts"},
    {"add", shared_add, API_ANY,
     "(key: string, value: any, ttl?: number, flags?: integer): boolean, string|nil, boolean",
     "stores if absent; false and \"exists\""},
    {"safe_add", shared_safe_add, API_ANY,
     "(key: string, value: any, ttl?: number, flags?: integer): boolean, string|nil",
     "add that never evicts"},
    {"replace", shared_replace, API_ANY,
     "(key: string, value: any, ttl?: number, flags?: integer): boolean, string|nil, boolean",
     "stores if present; false and \"not found\""},
    {"delete", shared_delete, API_ANY, "(key: string): boolean", "removes"},
    {"incr", shared_incr, API_ANY,
     "(key: string, by: number, init?: number, ttl?: number): number|nil, string|nil",
     "adds; with init an absent key begins there and lives ttl seconds"},
    {"expire", shared_expire, API_ANY, "(key: string, ttl: number): boolean, string|nil",
     "new time to live; 0: for ever"},
    {"ttl", shared_ttl, API_ANY, "(key: string): number|nil, string|nil",
     "seconds left; 0: for ever"},
    {"lpush", shared_lpush, API_ANY, "(key: string, value: string|number): integer|nil, string|nil",
     "puts in front of a list; its length"},
    {"rpush", shared_rpush, API_ANY, "(key: string, value: string|number): integer|nil, string|nil",
     "puts at the end of a list"},
    {"lpop", shared_lpop, API_ANY, "(key: string): any, string|nil", "takes the first of a list"},
    {"rpop", shared_rpop, API_ANY, "(key: string): any, string|nil", "takes the last of a list"},
    {"llen", shared_llen, API_ANY, "(key: string): integer|nil, string|nil",
     "length of a list, 0 when absent"},
    {"flush_all", shared_flush_all, API_ANY, "()", "expires everything"},
    {"flush_expired", shared_flush_expired, API_ANY, "(max?: integer): integer",
     "frees expired entries"},
    {"get_keys", shared_get_keys, API_ANY, "(max?: integer): string[]",
     "keys, most recently used first; max 1024, 0: all"},
    {"capacity", shared_capacity, API_ANY, "(): integer", "bytes of the dictionary"},
    {"free_space", shared_free_space, API_ANY, "(): integer", "bytes free"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_shared = {"shared", rows, NULL};

void api_shared_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, TYPE, &api_shared);
    lua_pushcfunction(L, shared_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, open_dict);
    lua_setfield(L, -2, "dict");
}
