/* referer.h — which Referer fields are welcome on a route: hosts, hosts with a path prefix, regexes. Behind $invalid_referer. */
#ifndef FLOW_REFERER_H
#define FLOW_REFERER_H

#include "base/pool.h"

struct req;
struct conf_route;
typedef struct referers referers;

/* NULL with "file:line: what" in err. */
MUST_USE referers *referers_new(const struct conf_route *c, pool *p, char *err, size_t errcap);
bool referers_accept(const referers *f, const struct req *r);

#endif
