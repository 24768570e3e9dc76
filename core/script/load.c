/* load.c — see load.h. */
#include "script/load.h"

#include "base/hash.h"
#include "script/api.h"

str load_text(lua_State *L, int table, int i)
{
    lua_rawgeti(L, table, i);
    str s = vm_str(L, -1);
    lua_pop(L, 1); /* the table keeps it alive */
    return s.p ? s : STR_EMPTY;
}

/* { fn, policy, label, deny, wants_ctx } on top of the stack. */
static void take_entry(script *s, lua_State *L, hook_entry *e)
{
    int t = lua_gettop(L);
    e->policy = pool_dup(&s->pool, load_text(L, t, 2));
    e->label = pool_dup(&s->pool, load_text(L, t, 3));
    board_policy_set(&e->shown, e->policy);
    lua_rawgeti(L, t, 4);
    e->deny = lua_toboolean(L, -1);
    lua_rawgeti(L, t, 5);
    e->wants_ctx = lua_toboolean(L, -1);
    lua_rawgeti(L, t, 1);
    e->native = api_limit_native(L, -1, &e->native_arg);
    e->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, t);
}

static void take_list(script *s, lua_State *L, hook_list *out)
{
    out->n = (int)lua_objlen(L, -1);
    out->v = pool_zalloc(&s->pool, (size_t)(out->n ? out->n : 1) * sizeof *out->v);
    for (int i = 0; i < out->n; i++) {
        lua_rawgeti(L, -1, i + 1);
        take_entry(s, L, &out->v[i]);
        lua_pop(L, 1);
    }
}

/* route.hook_id counts from 1, as the model's list does. */
void load_hooks(script *s, lua_State *L, int idx)
{
    s->nhooks = (int)lua_objlen(L, idx) + 1;
    s->hooks = pool_zalloc(&s->pool, (size_t)s->nhooks * sizeof *s->hooks);
    for (int id = 1; id < s->nhooks; id++) {
        lua_rawgeti(L, idx, id);
        for (int p = 0; p < PHASE_COUNT; p++) {
            lua_rawgeti(L, -1, p + 1);
            take_list(s, L, &s->hooks[id].phase[p]);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

void load_inits(script *s, lua_State *L, int idx)
{
    s->ninits = (int)lua_objlen(L, idx);
    s->inits = pool_zalloc(&s->pool, (size_t)(s->ninits ? s->ninits : 1) * sizeof *s->inits);
    for (int i = 0; i < s->ninits; i++) {
        lua_rawgeti(L, idx, i + 1);
        s->inits[i].policy = pool_dup(&s->pool, load_text(L, lua_gettop(L), 2));
        lua_rawgeti(L, -1, 1);
        s->inits[i].ref = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_pop(L, 1);
    }
}

void load_sources(script *s, lua_State *L, int idx)
{
    s->nsources = (int)lua_objlen(L, idx);
    s->sources =
        pool_zalloc(&s->pool, (size_t)(s->nsources ? s->nsources : 1) * sizeof *s->sources);
    for (int i = 0; i < s->nsources; i++) {
        lua_rawgeti(L, idx, i + 1);
        int t = lua_gettop(L);
        s->sources[i].name = pool_dup(&s->pool, load_text(L, t, 1));
        s->sources[i].path = pool_dup(&s->pool, load_text(L, t, 2));
        s->sources[i].hash = hash_keyed(load_text(L, t, 3), 0x736f7572, 0x6365);
        lua_pop(L, 1);
    }
}
