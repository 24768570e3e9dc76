/* validity.h — how long an answer holds and whether the client has it already: preconditions, then Expires and Cache-Control. */
#ifndef FLOW_VALIDITY_H
#define FLOW_VALIDITY_H

#include "flow/plan.h"
#include "flow/req.h"

static inline bool validity_matters(const req *r)
{
    return (r->allows & REQ_ALLOWS_CONDITIONS) || (r->route && r->route->expires);
}
/* Before our own fields are added. 0 (r->res may have become a 304), or < 0. */
MUST_USE int validity_apply(req *r);

#endif
