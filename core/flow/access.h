/* access.h — the access step: networks, users, and whatever a sub-request says, joined by satisfy.
 *
 * Checks run in that order. Each says one of: nothing, passes, or a status. With `all` the first status
 * refuses; with `any` the first one that passes is enough, and a 401 is told before a 403. */
#ifndef FLOW_ACCESS_H
#define FLOW_ACCESS_H

#include "flow/req.h"

typedef struct guard guard;

/* What a check returns besides a status of 400 and above, ERR_AGAIN (it waits; r->wait is set) and other ERR_*. */
enum { ACCESS_NO_OPINION = 0, ACCESS_PASSES = 1 };

/* What the access step returns for a request with a guard: STEP_*, jumps, ERR_*. */
MUST_USE int access_step(req *r);

/* auth_basic.c: the check of users. */
MUST_USE int auth_basic_check(req *r, const guard *g);
/* auth_request.c: the check by sub-request. */
MUST_USE int auth_request_check(req *r, const guard *g);

/* A field of the answer that a refusal brings. Such fields are dropped when another check lets the request pass. 0 or < 0. */
MUST_USE int access_challenge(req *r, str name, str value);

#endif
