/* dynamic.h — the upstream of one request, by an address that was computed for it. */
#ifndef FLOW_DYNAMIC_H
#define FLOW_DYNAMIC_H

#include "base/str.h"

typedef struct req req;

/* r->group becomes the group of `address` ("host:port", "host", "[::1]:80", "unix:/path"; `port`:
 * when it has none, 0: it must), or the configured upstream of that name. TLS and numbers are those
 * of the route's upstream. The request holds the group until it is freed. 0; ERR_INVALID: not an
 * address; ERR_RESOLVE: a name, and the route has no resolver. */
MUST_USE int dynamic_upstream(req *r, str address, uint16_t port);

#endif
