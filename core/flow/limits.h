/* limits.h — the limit step: how often, and how many at once.
 *
 * Order and accounting are nginx's. Several rates are looked at first and counted only when all of
 * them let the request pass; the longest of their delays is waited for. A request is counted once,
 * however often it is routed. An empty key is not counted. */
#ifndef FLOW_LIMITS_H
#define FLOW_LIMITS_H

#include "flow/req.h"

/* What step_limit returns for a request with a guard. */
MUST_USE int limits_step(req *r);

#endif
