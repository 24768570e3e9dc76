/* vm.h — the Lua state of one generation and the body of `struct script` (for the files of script/
 * only).
 *
 * The state's memory is counted and limited, but only while policy code runs (`limited`): then an
 * allocation beyond the limit fails and is an ordinary Lua error. What the core itself allocates (a
 * coroutine, an argument) never fails, so nothing outside a protected call can raise.
 *
 * Every file that is loaded comes through the generation's reader (script.h), never straight from
 * disk. */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include "base/list.h"
#include "base/pool.h"
#include "conf/conf.h"
#include "script/script.h"
#include "shm/board.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

struct req;
struct task;

/* One hook of a composed phase. */
typedef struct hook_entry {
    int ref;          /* the function, in the registry */
    bool deny;        /* on_error: a failure answers 500; else the request goes on without it */
    bool wants_ctx;   /* the function declares the ctx parameter */
    bool quarantined; /* as of script.quarantine_serial */
    int (*native)(
        struct req *r,
        void *arg);     /* the hook is C: called without a coroutine; HOOK_* or < 0. NULL: Lua */
    void *native_arg;   /* kept alive by the function */
    str policy;         /* its name */
    str label;          /* "gateway.lua:12": where it was attached */
    board_policy shown; /* the name as the watchdog slot wants it */
} hook_entry;

typedef struct hook_list {
    hook_entry *v;
    int n;
} hook_list;

/* The composed hooks of one route.hook_id. */
typedef struct hook_set {
    hook_list phase[PHASE_COUNT];
} hook_set;

/* A string that policy code used as a name, found again by the address of the interned Lua string
 * (which `anchor` keeps alive). */
typedef struct vm_name {
    const char *key;
    str text;
    uint16_t token; /* as a header name */
    bool is_header; /* a valid field name */
    bool anchored;  /* text lives as long as the state */
} vm_name;

enum { VM_NAMES = 256, VM_NAMES_MAX = 2048 };

typedef struct vm_memory {
    lua_Alloc alloc; /* LuaJIT's own */
    void *ud;
    size_t used, limit;
    bool limited;
    bool denied; /* an allocation was refused since the last look */
} vm_memory;

struct script {
    lua_State *L;
    vm_memory mem;
    pool pool; /* as long as the state */
    uint64_t generation;
    struct plan *plan;           /* borrowed; set by script_bind */
    const struct uservars *vars; /* names that the configuration declared (api_net.c); NULL: none */
    struct script_reader reader; /* a copy; its arg is the generation's */
    hook_set *hooks;             /* by hook_id, from 0 */
    int nhooks;
    int req_ref, res_ref, attempt_ref; /* the userdata hooks get */
    int traceback_ref;
    list spare; /* tasks ready for use */
    list busy;  /* tasks running or parked */
    uint32_t nspare, nbusy, ndetached;
    size_t gc_mark; /* mem.used when the collector last ran in idle time */
    uint32_t quarantine_serial;
    int64_t cpu_ms; /* budget of one run */
    vm_name names[VM_NAMES];
    uint32_t nnames;
    int names_ref; /* anchors of names */
    struct policy_source {
        str name, path;
        uint64_t hash;
    } * sources;
    int nsources;
    struct {
        int ref;
        str policy;
    } * inits;
    int ninits;
    bool retired; /* another generation is current: background tasks end at their next sleep */
    bool foreign; /* the state is somebody else's (specs) */
};

/* A state with libraries, the core's functions and the searcher. NULL when memory is out. */
MUST_USE script *vm_new(const struct script_args *a);
/* Attaches the core's functions to a state made elsewhere (specs under a plain LuaJIT). */
script *vm_attach(lua_State *L);
void vm_free(script *s);
script *vm_of(lua_State *L);
/* The name at stack index `idx`, NULL when it is no string; one that is used again is found by
 * address. Valid while the string is on the stack, or for ever when it could be anchored. */
const vm_name *vm_name_at(script *s, lua_State *L, int idx);
/* Message with a traceback of `co`, left on top of s->L; borrowed view of it. */
str vm_traceback(script *s, lua_State *co, const char *message);

static inline str vm_str(lua_State *L, int idx)
{
    str s;
    s.p = lua_tolstring(L, idx, &s.n);
    return s;
}

static inline void vm_push(lua_State *L, str s)
{
    lua_pushlstring(L, s.p ? s.p : "", s.n);
}

#endif
