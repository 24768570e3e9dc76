/* exchange.h — what the exchanges of a route do beyond the usual, compiled: another target per request, another body or method, changed redirects and
 * cookies, TLS settings of its own. A route that asks for none of it has a NULL for it and pays one test. Bodies are in exchange_impl.h. */
#ifndef FLOW_EXCHANGE_H
#define FLOW_EXCHANGE_H

#include "base/attr.h"

#include <stddef.h>

struct exchange;
struct plan;
struct route;

/* Compiles the route's exchange (there is one). NULL with a text in err. */
MUST_USE struct exchange *exchange_new(struct plan *p, struct route *rt, char *err, size_t errcap);

#endif
