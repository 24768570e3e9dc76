/* api.h — registration of the C functions that policies call: one table per noun, each function
 * with its LuaLS signature and the phases it is legal in. Stubs, manual and the phase check come
 * from these tables.
 *
 * Functions of a request take it from the running task (task.h), not from their first argument:
 * `req`, `res` and `attempt` are one userdata each for the whole state. So a reference that a
 * policy kept too long can only ever see the request it is called for, never another client's. */
#ifndef SCRIPT_API_H
#define SCRIPT_API_H

#include "conf/conf.h"
#include "script/vm.h"

enum {
    API_ANY = 0, /* also outside of requests: at load, in background tasks */
    API_REWRITE = 1 << PHASE_REWRITE,
    API_ACCESS = 1 << PHASE_ACCESS,
    API_BALANCE = 1 << PHASE_BALANCE,
    API_HEADER = 1 << PHASE_HEADER,
    API_BODY = 1 << PHASE_BODY,
    API_LOG = 1 << PHASE_LOG,
    API_EARLY = API_REWRITE | API_ACCESS,
    API_HEAD = API_EARLY | API_HEADER,
    API_REQUEST = (1 << PHASE_COUNT) - 1, /* anywhere in a request */
};

struct api_fn {
    const char *name;
    lua_CFunction fn;
    unsigned phases;       /* API_*; 0: any time */
    const char *signature; /* LuaLS: "(key: string, cost?: number): boolean, number" */
    const char *doc;
};

/* A field of req, res or attempt. */
struct api_prop {
    const char *name;
    lua_CFunction get; /* pushes the value */
    lua_CFunction set; /* value at index 3; NULL: read only */
    unsigned set_phases;
    const char *type; /* LuaLS */
    const char *doc;
};

struct api_table {
    const char *name;             /* "req", "shared"… */
    const struct api_fn *v;       /* ends with a NULL name */
    const struct api_prop *props; /* the same; may be NULL */
};

extern const struct api_table api_req, api_res, api_attempt, api_shared, api_limit, api_util,
    api_re, api_metrics, api_task, api_subtask, api_load, api_net, api_template, api_sock;

/* moongate.core and everything behind it. */
void api_open(script *s, lua_State *L);
/* Sets the functions of `t` in the table on top of the stack, behind their phase check. */
void api_register(lua_State *L, const struct api_table *t);
/* A metatable with __index = methods of `t`, kept in the registry under `type`; left on the stack.
 */
void api_type(lua_State *L, const char *type, const struct api_table *t);

/* One of the three request objects: takes the table of extra members on top of the stack, adds the
 * functions and fields of `t`; leaves the userdata. */
void api_object(lua_State *L, const struct api_table *t);

/* An optional argument: a whole number from 0 to 2^32 - 1, else an error that names it. */
uint32_t api_count(lua_State *L, int idx, uint32_t otherwise, const char *name);

struct req;
struct task;
/* The request of the running task; raises where there is none. */
struct req *api_request(lua_State *L);
/* The running hook has made its answer with req_reply (rewrite and access only). */
void api_answered(lua_State *L);
/* nil and the error's text: what functions return for failures at run time. */
int api_fail(lua_State *L, int err);
/* A copy of the string (or number) at idx in the request's pool. */
str api_copy(lua_State *L, struct req *r, int idx);

/* Userdata of our own types begins with this; checked without a look into the registry. */
struct api_head {
    const void *type; /* address of the type's name */
};
/* The object at idx, or an error that names the type. `size` is its sizeof. */
void *api_check(lua_State *L, int idx, const char *type, size_t size);
/* A userdata of `size` bytes, zero, with the type's metatable (api_type(L, type, …) was called at
 * open). */
void *api_new(lua_State *L, const char *type, size_t size);

/* Is the function at idx a limiter's guard (limiter:guard)? Then what the hook runner may call
 * instead, and its argument; else NULL. */
int (*api_limit_native(lua_State *L, int idx, void **arg))(struct req *r, void *arg);

/* Parts of api_open, one per file. */
void api_headers_open(script *s, lua_State *L); /* headers_lua.c */
void api_req_open(script *s, lua_State *L);
void api_res_open(script *s, lua_State *L);
void api_shared_open(script *s, lua_State *L);
void api_limit_open(script *s, lua_State *L);
void api_re_open(script *s, lua_State *L);
void api_net_open(script *s, lua_State *L);
void api_metrics_open(script *s, lua_State *L);
void api_task_open(script *s, lua_State *L);
void api_sock_open(script *s, lua_State *L);

#endif
