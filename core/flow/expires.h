/* expires.h — Expires and Cache-Control of answers, from a short text: "1h", "-1", "@15h30m", "epoch", "max", "off". */
#ifndef FLOW_EXPIRES_H
#define FLOW_EXPIRES_H

#include "flow/plan.h"

typedef struct req req;
typedef struct expires expires;

/* *out NULL: the route has none. A text in err: a constant value is wrong. */
MUST_USE int expires_compile(const route *rt, pool *p, expires **out, char *err, size_t errcap);
/* Sets the fields of r->res when its status is a usual one. 0 or < 0. */
MUST_USE int expires_apply(req *r);

#endif
