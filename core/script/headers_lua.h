/* headers_lua.h — header fields of the request or the response from Lua, shared by req, res and
 * their headers objects. All raise for misuse: bad names, values with control characters, fields of
 * the connection. */
#ifndef SCRIPT_HEADERS_LUA_H
#define SCRIPT_HEADERS_LUA_H

#include <lua.h>

enum { HEADERS_REQ, HEADERS_RES };

/* Registry keys of the metatables and of the two objects. */
#define HEADERS_REQ_TYPE "moongate.req.headers"
#define HEADERS_RES_TYPE "moongate.res.headers"
#define HEADERS_REQ_OBJECT "moongate.req.headers object"
#define HEADERS_RES_OBJECT "moongate.res.headers object"

/* Each returns the number of values it pushed. */
int headers_lua_get(lua_State *L, int which, int name_at);
/* A string or number, a list of them, or nil. */
int headers_lua_set(lua_State *L, int which, int name_at, int value_at);
int headers_lua_add(lua_State *L, int which, int name_at, int value_at);
int headers_lua_remove(lua_State *L, int which, int name_at);
/* List of all values of a name. */
int headers_lua_values(lua_State *L, int which, int name_at);
/* List of { name, value } in order. */
int headers_lua_fields(lua_State *L, int which);
struct headers;
void headers_lua_push(lua_State *L, const struct headers *h);

#endif
