/* load.h — what lua/boot.lua hands over beside the model: composed hooks, init functions, sources.
 */
#ifndef SCRIPT_LOAD_H
#define SCRIPT_LOAD_H

#include "script/vm.h"

/* The string at table[i], kept alive by the table; empty when it is none. */
str load_text(lua_State *L, int table, int i);
/* hooks[id][phase] = list of { fn, policy, label, deny, wants_ctx } at `idx` (policy.flatten).
 * Replaces s->hooks. */
void load_hooks(script *s, lua_State *L, int idx);
/* List of { fn, policy }. */
void load_inits(script *s, lua_State *L, int idx);
/* List of { name, path, text }. */
void load_sources(script *s, lua_State *L, int idx);

#endif
