/* vm.c — making and closing Lua states: allocator, libraries, search path, names. */
#include "script/vm.h"

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "http/headers.h"
#include "script/api.h"

#include <stdlib.h>

enum { DEFAULT_MEMORY = 256 * 1024 * 1024 };

static const char script_key = 0; /* its address is the registry key of the script */

/* Counts around LuaJIT's own allocator, which is faster than malloc for a VM. */
static void *counting_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    vm_memory *m = ud;
    if (UNLIKELY(nsize > osize && m->limited && m->used + (nsize - osize) > m->limit)) {
        m->denied = true;
        return NULL;
    }
    void *p = m->alloc(m->ud, ptr, osize, nsize);
    if (LIKELY(p != NULL || nsize == 0)) {
        m->used += nsize - osize;
    }
    return p;
}

static int searcher(lua_State *L)
{
    script *s = vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    str templates = vm_str(L, -1), one;
    const char *file = luaL_gsub(L, name, ".", "/");
    luaL_Buffer tried;
    pool scratch;
    pool_init(&scratch, 4096);
    lua_settop(L, 4);
    int found = 0;
    while (!found && str_split(&templates, ';', &one)) {
        lua_settop(L, 4);
        lua_pushlstring(L, one.p, one.n);
        const char *path = luaL_gsub(L, lua_tostring(L, -1), "?", file);
        str bytes;
        if (s->reader.read(s->reader.arg, str_c(path), &scratch, &bytes) == 0) {
            lua_pushfstring(L, "@%s", path);
            found = luaL_loadbuffer(L, bytes.p, bytes.n, lua_tostring(L, -1)) == 0 ? 1 : -1;
        }
    }
    pool_fini(&scratch);
    if (found < 0) {
        return luaL_error(L, "error loading module '%s':\n\t%s", name, lua_tostring(L, -1));
    }
    if (found) {
        return 1;
    }
    lua_settop(L, 4);
    luaL_buffinit(L, &tried);
    luaL_addstring(&tried, "\n\tno module '");
    luaL_addstring(&tried, name);
    luaL_addstring(&tried, "' in the search path");
    luaL_pushresult(&tried);
    return 1;
}

/* package.loaders[2] is Lua's searcher for files: ours reads through the generation's reader. */
static void set_search(lua_State *L, const char *share)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    const char *system = lua_tostring(L, -1);
    lua_pushfstring(
        L,
        "%s/lua/?.lua;%s/lua/?/init.lua;/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua;%s",
        share, share, system ? system : "");
    lua_setfield(L, -3, "path");
    lua_pop(L, 1);
    lua_getfield(L, -1, "cpath");
    const char *csystem = lua_tostring(L, -1);
    lua_pushfstring(
        L, "/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;/usr/lib/aarch64-linux-gnu/lua/5.1/?.so;%s",
        csystem ? csystem : "");
    lua_setfield(L, -3, "cpath");
    lua_pop(L, 1);
    lua_getfield(L, -1, "loaders");
    lua_pushcfunction(L, searcher);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static void remember(script *s)
{
    lua_State *L = s->L;
    lua_pushlightuserdata(L, (void *)(uintptr_t)&script_key);
    lua_pushlightuserdata(L, s);
    lua_rawset(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    s->names_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getglobal(L, "debug");
    lua_getfield(L, -1, "traceback");
    s->traceback_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
}

script *vm_of(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&script_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    script *s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return s;
}

static int open_all(lua_State *L)
{
    const struct script_args *a = lua_touserdata(L, 1);
    luaL_openlibs(L);
    script *s = lua_touserdata(L, 2);
    remember(s);
    set_search(L, a->share);
    api_open(s, L);
    return 0;
}

static script *script_alloc(void)
{
    script *s = calloc(1, sizeof *s);
    REQUIRE(s);
    pool_init(&s->pool, 4096);
    list_init(&s->spare);
    list_init(&s->busy);
    s->reader = script_reader_disk;
    s->cpu_ms = 500;
    token_setup();
    return s;
}

script *vm_new(const struct script_args *a)
{
    script *s = script_alloc();
    s->generation = a->generation;
    if (a->reader) {
        s->reader = *a->reader; /* `require` in a hook reads through it long after the load, when
                                   `a` is gone */
    }
    s->L = luaL_newstate();
    if (!s->L) {
        free(s);
        return NULL;
    }
    s->mem.alloc = lua_getallocf(s->L, &s->mem.ud);
    s->mem.limit = a->memory ? a->memory : DEFAULT_MEMORY;
    lua_setallocf(s->L, counting_alloc, &s->mem);
    s->mem.used = (size_t)lua_gc(s->L, LUA_GCCOUNT, 0) * 1024;
    lua_pushcfunction(s->L, open_all);
    lua_pushlightuserdata(s->L, (void *)(uintptr_t)a);
    lua_pushlightuserdata(s->L, s);
    if (lua_pcall(s->L, 2, 0, 0) != 0) {
        fatal("cannot make a Lua state: %s", lua_tostring(s->L, -1));
    }
    return s;
}

script *vm_attach(lua_State *L)
{
    script *s = script_alloc();
    s->foreign = true;
    s->L = L;
    remember(s);
    api_open(s, L);
    return s;
}

void vm_free(script *s)
{
    if (!s->foreign) {
        lua_setallocf(s->L, s->mem.alloc, s->mem.ud);
        lua_close(s->L);
    }
    pool_fini(&s->pool);
    free(s);
}

static vm_name *name_slot(script *s, const char *key)
{
    uintptr_t h = (uintptr_t)key >> 4;
    return &s->names[(h ^ (h >> 8)) & (VM_NAMES - 1)];
}

/* First use of a name, or its slot was taken by another. Too many different names (made at run
 * time): no anchor, so the slot must not be believed the next time. */
static const vm_name *name_slow(script *s, lua_State *L, int idx, str text)
{
    static vm_name loose;
    vm_name *n = s->nnames < VM_NAMES_MAX ? name_slot(s, text.p) : &loose;
    if (n != &loose) {
        if (idx < 0) {
            idx = lua_gettop(L) + 1 + idx;
        }
        lua_rawgeti(L, LUA_REGISTRYINDEX, s->names_ref);
        lua_pushvalue(L, idx);
        lua_rawget(L, -2);
        if (lua_isnil(L, -1)) {
            s->nnames++;
        }
        lua_pop(L, 1);
        lua_pushvalue(L, idx);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    n->key = text.p;
    n->text = text;
    n->token = (uint16_t)token_find(text);
    n->is_header = headers_name_is_ok(text);
    n->anchored = n != &loose;
    return n;
}

const vm_name *vm_name_at(script *s, lua_State *L, int idx)
{
    str text = vm_str(L, idx);
    const vm_name *n = name_slot(s, text.p);
    if (LIKELY(n->key == text.p)) {
        return text.p ? n : NULL;
    }
    return text.p ? name_slow(s, L, idx, text) : NULL;
}

str vm_traceback(script *s, lua_State *co, const char *message)
{
    luaL_traceback(s->L, co, message, 0);
    luaL_gsub(s->L, lua_tostring(s->L, -1), "\nstack traceback:\n\t", " | ");
    luaL_gsub(s->L, lua_tostring(s->L, -1), "\nstack traceback:", ""); /* of a coroutine that has ended */
    luaL_gsub(s->L, lua_tostring(s->L, -1), "\n\t", " | "); /* one event, one line */
    lua_replace(s->L, -4);
    lua_pop(s->L, 2);
    return vm_str(s->L, -1);
}
