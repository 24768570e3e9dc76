/* api_conf.h — the configuration model, from Lua tables to the frozen C tree. */
#ifndef SCRIPT_API_CONF_H
#define SCRIPT_API_CONF_H

#include "conf/conf.h"

#include <lua.h>

/* The model's gateway table is at `idx`. NULL with a text in err that names the path:
 * "sites[2].routes[1].upstream: …". Raises only when memory is out. */
MUST_USE conf *api_conf_build(lua_State *L, int idx, char *err, size_t errcap);

#endif
