/* headers_lua.c — req.headers and res.headers: fields by name, read and written like a table. The
 * two objects are one userdata each; which message they mean is in their metatable's functions. */
#include "script/headers_lua.h"

#include "base/err.h"
#include "base/fmt.h"
#include "flow/req.h"
#include "http/headers.h"
#include "http/msg.h"
#include "script/api.h"
#include "script/task.h"

/* Fields the gateway writes itself: a hook that could set them could break the framing of the
 * connection. */
static bool is_ours(uint16_t token)
{
    switch (token) {
    case TOKEN_CONNECTION:
    case TOKEN_KEEP_ALIVE:
    case TOKEN_PROXY_CONNECTION:
    case TOKEN_TRANSFER_ENCODING:
    case TOKEN_CONTENT_LENGTH:
    case TOKEN_TE:
    case TOKEN_TRAILER:
    case TOKEN_UPGRADE:
    case TOKEN_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

static headers *of(lua_State *L, int which)
{
    req *r = api_request(L);
    if (which == HEADERS_REQ) {
        return &r->in.h;
    }
    if (UNLIKELY(!r->res.h.pool)) {
        msg_init(&r->res, &r->pool); /* no response yet: fields for a later req:reply */
    }
    return &r->res.h;
}

/* headers_get without its search for the token, which the name remembers. */
static field *find(const headers *h, const vm_name *n)
{
    if (n->token) {
        return headers_find(h, (enum token)n->token);
    }
    for (uint32_t i = 0; i < h->n; i++) {
        field *f = &h->v[i];
        if (f->name.n == n->text.n && !f->token && str_ieq(f->name, n->text)) {
            return f;
        }
    }
    return NULL;
}

/* Called after `of`: there is a task. */
static inline const vm_name *name_arg(lua_State *L, int idx)
{
    const vm_name *n = vm_name_at(task_current->s, L, idx);
    if (UNLIKELY(!n)) {
        luaL_error(L, "the name of a header field must be a string, got %s", luaL_typename(L, idx));
    }
    return n;
}

int headers_lua_get(lua_State *L, int which, int idx)
{
    const headers *h = of(L, which);
    const field *f = find(h, name_arg(L, idx));
    if (!f) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, f->value.p, f->value.n);
    }
    return 1;
}

/* A whole number without a detour through a Lua string (and the garbage it makes). */
static bool whole_number(lua_State *L, int idx, pool *p, str *out)
{
    lua_Number v = lua_tonumber(L, idx);
    int64_t i = (int64_t)v;
    if ((lua_Number)i != v || i > 1000000000000000LL || i < -1000000000000000LL) {
        return false;
    }
    char *room = pool_alloc(p, 24);
    fmt f = fmt_of(room, 24);
    fmt_i64(&f, i);
    *out = fmt_str(&f);
    return true;
}

/* The value at idx as text that may stand in a field; raises with the field's name otherwise. */
static str value_arg(lua_State *L, pool *p, const vm_name *n, int idx)
{
    int type = lua_type(L, idx);
    str v;
    if (type == LUA_TNUMBER && whole_number(L, idx, p, &v)) {
        return v;
    }
    if (UNLIKELY(type != LUA_TSTRING && type != LUA_TNUMBER)) {
        luaL_error(L, "header '%s': the value must be a string or a number, got %s", n->text.p,
                   lua_typename(L, type));
    }
    v = vm_str(L, idx);
    if (UNLIKELY(!headers_value_is_ok(v))) {
        luaL_error(L, "header '%s': the value contains a line break or another control character",
                   n->text.p);
    }
    return pool_dup(p, v);
}

static const vm_name *writable_name(lua_State *L, int idx)
{
    const vm_name *n = name_arg(L, idx);
    if (UNLIKELY(!n->is_header)) {
        luaL_error(L, "'%s' cannot be the name of a header field", n->text.p);
    }
    if (UNLIKELY(n->token && is_ours(n->token))) {
        luaL_error(L, "header '%s' belongs to the connection; the gateway writes it itself",
                   n->text.p);
    }
    return n;
}

static void check(lua_State *L, const vm_name *n, int rc)
{
    if (UNLIKELY(rc < 0)) {
        luaL_error(L, "header '%s': %s", n->text.p, err_text(rc));
    }
}

static str name_for(const headers *h, const vm_name *n)
{
    return n->anchored ? n->text : pool_dup(h->pool, n->text);
}

static void set(lua_State *L, headers *h, const vm_name *n, str value)
{
    field *f = find(h, n);
    if (f && !headers_next(h, f)) {
        f->value = value;
    } else if (f) {
        check(L, n, headers_set(h, name_for(h, n), value));
    } else {
        check(L, n, headers_add(h, name_for(h, n), value));
    }
}

static void add(lua_State *L, headers *h, const vm_name *n, int idx)
{
    check(L, n, headers_add(h, name_for(h, n), value_arg(L, h->pool, n, idx)));
}

int headers_lua_set(lua_State *L, int which, int name_at, int value_at)
{
    headers *h = of(L, which);
    const vm_name *n = writable_name(L, name_at);
    int type = lua_type(L, value_at);
    if (type == LUA_TNIL) {
        headers_remove(h, n->text);
    } else if (type == LUA_TTABLE) {
        headers_remove(h, n->text);
        int count = (int)lua_objlen(L, value_at);
        for (int i = 1; i <= count; i++) {
            lua_rawgeti(L, value_at, i);
            add(L, h, n, lua_gettop(L));
            lua_pop(L, 1);
        }
    } else {
        set(L, h, n, value_arg(L, h->pool, n, value_at));
    }
    return 0;
}

int headers_lua_add(lua_State *L, int which, int name_at, int value_at)
{
    add(L, of(L, which), writable_name(L, name_at), value_at);
    return 0;
}

int headers_lua_remove(lua_State *L, int which, int name_at)
{
    headers_remove(of(L, which), writable_name(L, name_at)->text);
    return 0;
}

int headers_lua_values(lua_State *L, int which, int name_at)
{
    const headers *h = of(L, which);
    lua_newtable(L);
    int i = 0;
    for (const field *f = find(h, name_arg(L, name_at)); f; f = headers_next(h, f)) {
        vm_push(L, f->value);
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

void headers_lua_push(lua_State *L, const headers *h)
{
    lua_createtable(L, h->live, 0);
    uint32_t at = 0;
    int i = 0;
    for (const field *f; (f = headers_each(h, &at));) {
        lua_createtable(L, 2, 0);
        vm_push(L, f->name);
        lua_rawseti(L, -2, 1);
        vm_push(L, f->value);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++i);
    }
}

int headers_lua_fields(lua_State *L, int which)
{
    headers_lua_push(L, of(L, which));
    return 1;
}

static int req_index(lua_State *L)
{
    return headers_lua_get(L, HEADERS_REQ, 2);
}

static int req_newindex(lua_State *L)
{
    return headers_lua_set(L, HEADERS_REQ, 2, 3);
}

static int res_index(lua_State *L)
{
    return headers_lua_get(L, HEADERS_RES, 2);
}

static int res_newindex(lua_State *L)
{
    task *t = task_current;
    if (UNLIKELY(t && t->r && t->r->head_sent)) {
        return luaL_error(L, "header '%s': the head of the response has been sent already",
                          lua_tostring(L, 2));
    }
    return headers_lua_set(L, HEADERS_RES, 2, 3);
}

static void object(lua_State *L, const char *type, const char *key, lua_CFunction index,
                   lua_CFunction newindex)
{
    lua_newuserdata(L, 0);
    luaL_newmetatable(L, type);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, key);
}

void api_headers_open(script *s, lua_State *L)
{
    (void)s;
    object(L, HEADERS_REQ_TYPE, HEADERS_REQ_OBJECT, req_index, req_newindex);
    object(L, HEADERS_RES_TYPE, HEADERS_RES_OBJECT, res_index, res_newindex);
}
