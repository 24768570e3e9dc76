/* plan_way.h — compiles what turns a request's way: rewrite ops, error pages, referers, captures of the pattern. A part of plan.c. */
#ifndef FLOW_PLAN_WAY_H
#define FLOW_PLAN_WAY_H

#include "base/pool.h"

struct route;
struct site;

/* After the site's table was made. 0, or ERR_CONF with "file:line: what" in err. */
MUST_USE int plan_way(struct site *s, struct route *rt, pool *p, char *err, size_t errcap);

#endif
