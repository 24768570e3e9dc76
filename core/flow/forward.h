/* forward.h — heads rebuilt: the client's request for the upstream, the upstream's response for the client. Nothing is copied through: hop-by-hop
 * fields go, exactly one framing field is written, forwarded fields are ours (RFC 9110 §7.6). */
#ifndef FLOW_FORWARD_H
#define FLOW_FORWARD_H

#include "flow/req.h"

/* Serialises the upstream request head into the fetch's stream. `body_length`: >= 0 known, -1 chunked, -2 no body. 0 or < 0. */
MUST_USE int forward_request(req *r, int64_t body_length);
/* Makes r->res out of r->fetch.res. 0 or < 0. */
MUST_USE int forward_response(req *r);
/* Applies the route's response header operations and the gateway's own fields (Server, Date) to r->res. */
MUST_USE int forward_finish_head(req *r);
/* The client asks for an upgrade and the route passes it on. */
bool forward_upgrades(const req *r);

#endif
