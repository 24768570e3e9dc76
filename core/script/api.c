/* api.c — registration: functions behind their phase check, object types, and the list that stubs
 * and manual are made of. */
#include "script/api.h"

#include "base/err.h"
#include "flow/req.h"
#include "script/hook.h"

static const struct api_table *const all_tables[] = {
    &api_req,     &api_res,  &api_attempt, &api_shared, &api_limit,    &api_util, &api_re,
    &api_metrics, &api_task, &api_subtask, &api_net,    &api_template, &api_sock, &api_load,
};

static void push_phases(lua_State *L, unsigned mask)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    bool first = true;
    for (int p = 0; p < PHASE_COUNT; p++) {
        if (mask & (1u << p)) {
            luaL_addstring(&b, first ? "" : ", ");
            luaL_addstring(&b, hook_phase_name(p));
            first = false;
        }
    }
    luaL_pushresult(&b);
}

/* The one place where phases are checked. */
static void check_phase(lua_State *L, const char *name, unsigned phases)
{
    task *t = task_current;
    const task *main_task = t ? task_main(t) : NULL;
    if (LIKELY(main_task && (phases & (1u << main_task->phase)))) {
        return;
    }
    push_phases(L, phases);
    const char *now = main_task ? hook_phase_name(main_task->phase) : "none: there is no request";
    luaL_error(L, "%s cannot be used here (phase %s); it can in: %s", name, now,
               lua_tostring(L, -1));
}

/* Upvalue 1 is the function's row. */
static int gate(lua_State *L)
{
    const struct api_fn *f = lua_touserdata(L, lua_upvalueindex(1));
    check_phase(L, f->name, f->phases);
    return f->fn(L);
}

void api_register(lua_State *L, const struct api_table *t)
{
    for (const struct api_fn *f = t->v; f->name; f++) {
        if (f->phases && f->phases != API_REQUEST) {
            lua_pushlightuserdata(L, (void *)(uintptr_t)f);
            lua_pushcclosure(L, gate, 1);
        } else {
            lua_pushcfunction(L, f->fn);
        }
        lua_setfield(L, -2, f->name);
    }
}

void api_type(lua_State *L, const char *type, const struct api_table *t)
{
    luaL_newmetatable(L, type);
    lua_newtable(L);
    api_register(L, t);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
}

/* Upvalues: name → index, the rows, the object's name. */
static const struct api_prop *prop_of(lua_State *L)
{
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    int i = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    const struct api_prop *props = lua_touserdata(L, lua_upvalueindex(2));
    return i ? &props[i - 1] : NULL;
}

static int get_prop(lua_State *L)
{
    const struct api_prop *p = prop_of(L);
    if (LIKELY(p != NULL)) {
        return p->get(L);
    }
    return luaL_error(L, "%s has no field '%s'", lua_tostring(L, lua_upvalueindex(3)),
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
}

static int set_prop(lua_State *L)
{
    const struct api_prop *p = prop_of(L);
    if (UNLIKELY(!p || !p->set)) {
        return luaL_error(L, p ? "%s.%s cannot be set" : "%s has no field '%s'",
                          lua_tostring(L, lua_upvalueindex(3)),
                          lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2));
    }
    if (p->set_phases != API_REQUEST) {
        check_phase(L, p->name, p->set_phases);
    }
    return p->set(L);
}

static void push_prop_function(lua_State *L, const struct api_table *t, int names, lua_CFunction fn)
{
    lua_pushvalue(L, names);
    lua_pushlightuserdata(L, (void *)(uintptr_t)t->props);
    lua_pushstring(L, t->name);
    lua_pushcclosure(L, fn, 3);
}

/* obj → metatable.__index = members → metatable.__index = get_prop: functions and sub-objects are
 * found without entering C. */
void api_object(lua_State *L, const struct api_table *t)
{
    int members = lua_gettop(L);
    api_register(L, t);
    lua_newtable(L);
    int names = lua_gettop(L);
    for (int i = 0; t->props[i].name; i++) {
        lua_pushinteger(L, i + 1);
        lua_setfield(L, names, t->props[i].name);
    }
    lua_newtable(L);
    push_prop_function(L, t, names, get_prop);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, members);
    lua_newuserdata(L, 0);
    lua_newtable(L);
    lua_pushvalue(L, members);
    lua_setfield(L, -2, "__index");
    push_prop_function(L, t, names, set_prop);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_replace(L, members);
    lua_settop(L, members);
}

uint32_t api_count(lua_State *L, int idx, uint32_t otherwise, const char *name)
{
    if (lua_isnoneornil(L, idx)) {
        return otherwise;
    }
    lua_Number v = luaL_checknumber(L, idx);
    if (!(v >= 0 && v <= 4294967295.0) || v != (lua_Number)(uint32_t)v) {
        luaL_error(L, "%s must be a whole number, 0 or more, got %s", name, lua_tostring(L, idx));
    }
    return (uint32_t)v;
}

void *api_check(lua_State *L, int idx, const char *type, size_t size)
{
    struct api_head *h = lua_touserdata(L, idx);
    if (UNLIKELY(!h || lua_objlen(L, idx) < size || h->type != type)) {
        luaL_error(L, "expected a %s, got %s; is it called with a colon?", type,
                   luaL_typename(L, idx));
    }
    return h;
}

void *api_new(lua_State *L, const char *type, size_t size)
{
    struct api_head *h = lua_newuserdata(L, size);
    memset(h, 0, size);
    h->type = type;
    lua_getfield(L, LUA_REGISTRYINDEX, type);
    lua_setmetatable(L, -2);
    return h;
}

req *api_request(lua_State *L)
{
    task *t = task_current;
    if (LIKELY(t && t->r)) {
        return t->r;
    }
    luaL_error(L, "there is no request here: req and res can be used in hooks only");
    return NULL;
}

int api_fail(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushstring(L, err_text(err));
    return 2;
}

str api_copy(lua_State *L, req *r, int idx)
{
    return pool_dup(&r->pool, vm_str(L, idx));
}

static void list_row(lua_State *L, const char *noun, const struct api_fn *f, const char *kind)
{
    const char *fields[][2] = {
        {"noun", noun},  {"name", f->name}, {"signature", f->signature},
        {"doc", f->doc}, {"kind", kind},
    };
    lua_createtable(L, 0, 6);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        lua_pushstring(L, fields[i][1]);
        lua_setfield(L, -2, fields[i][0]);
    }
    push_phases(L, f->phases);
    lua_setfield(L, -2, "phases");
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
}

/* moongate.core.api(): { { noun, name, signature, doc, phases, kind }, … } */
static int list_api(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < ARRAY_LEN(all_tables); i++) {
        const struct api_table *t = all_tables[i];
        for (const struct api_fn *f = t->v; f->name; f++) {
            list_row(L, t->name, f, "function");
        }
        for (const struct api_prop *p = t->props; p && p->name; p++) {
            struct api_fn row = {p->name, NULL, p->set ? p->set_phases : 0, p->type, p->doc};
            list_row(L, t->name, &row, p->set ? "field" : "read-only field");
        }
    }
    return 1;
}

/* moongate.core: everything in one flat table; lua/moongate/init.lua gives it its public shape. */
static int open_core(lua_State *L)
{
    script *s = vm_of(L);
    lua_newtable(L);
    api_register(L, &api_load);
    api_register(L, &api_util);
    api_register(L, &api_task);
    lua_pushcfunction(L, list_api);
    lua_setfield(L, -2, "api");
    api_shared_open(s, L);
    api_limit_open(s, L);
    api_re_open(s, L);
    api_metrics_open(s, L);
    api_task_open(s, L);
    api_net_open(s, L);
    api_sock_open(s, L);
    return 1;
}

void api_open(script *s, lua_State *L)
{
    api_headers_open(s, L);
    api_req_open(s, L);
    api_res_open(s, L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open_core);
    lua_setfield(L, -2, "moongate.core");
    lua_pop(L, 2);
}
