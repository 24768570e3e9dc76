/* testing.h — moongate.testing: requests without sockets, for policies' specs. The engine is the
 * real one (flow/, plans, hooks, coroutines, shared memory); only the protocol below a request and
 * the clock are ours. */
#ifndef SCRIPT_TESTING_H
#define SCRIPT_TESTING_H

#include "base/attr.h"

#include <lua.h>

/* Loader of the module; in `moongate test` it is preloaded. */
int testing_open(lua_State *L);
/* For a plain LuaJIT that loads libmoongate_test.so: preloads moongate.core and moongate.testing.
 */
API int luaopen_moongate_testing(lua_State *L);

#endif
