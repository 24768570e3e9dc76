/* route_when.h — the `when` matchers of a route: header, query and cookie conditions, all of which
 * must hold. */
#ifndef FLOW_ROUTE_WHEN_H
#define FLOW_ROUTE_WHEN_H

#include "flow/plan.h"

struct req;

/* Fills rt->when from rt->c->when. 0, or ERR_CONF with "file:line: what" in err. */
MUST_USE int route_when_compile(route *rt, pool *p, char *err, size_t errcap);
/* 1, 0, or < 0: a regex hit its limits, so that nobody knows. */
MUST_USE int route_when_holds(const route *rt, struct req *r);
/* Do both have the same conditions, in any order? */
bool route_when_same(const route *a, const route *b);

#endif
