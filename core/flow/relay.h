/* relay.h — the fast path of large plain bodies: spliced from the upstream's socket to the client's, never seen by this process.
 *
 * Used while nothing filters the body, neither side is TLS, the length is known and large, and nothing waits in either queue. A client that stops reading
 * does not hold the upstream: after a short patience the pipe is emptied into the spool and the ordinary pump goes on. */
#ifndef FLOW_RELAY_H
#define FLOW_RELAY_H

#include "flow/req.h"

enum {
    RELAY_OFF = 0,   /* not possible now: copy */
    RELAY_EMPTY = 1, /* the upstream has nothing more at the moment */
    RELAY_FULL = 2,  /* the client takes nothing at the moment */
    RELAY_DONE = 3,  /* the whole body went through */
};
enum { RELAY_PATIENCE_MS = 100 };

/* RELAY_*, or < 0: ERR_CLIENT_GONE, or what the upstream did. */
MUST_USE int relay_run(req *r);
/* Bytes sit in the pipe. */
bool relay_holds(const req *r);
/* Moves them into q. 0 or ERR_IO. */
MUST_USE int relay_salvage(req *r, bufq *q);

#endif
