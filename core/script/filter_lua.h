/* filter_lua.h — the body phase as a sink: each piece of the response passes through the route's
 * body hooks.
 *
 * Holds at most one piece (64 KiB) while a hook waits, and what hooks returned until the next sink
 * took it; in both cases push returns AGAIN, so the upstream is not read meanwhile. A hook sees
 * (req, chunk, last, ctx) and returns a replacement, "" to swallow the piece, or nothing to pass
 * it. */
#ifndef SCRIPT_FILTER_LUA_H
#define SCRIPT_FILTER_LUA_H

typedef struct req req;
typedef struct sink sink;

/* In r->pool. */
sink *filter_lua_new(req *r, sink *next);

#endif
