/* forward.h — the client's request rebuilt for the upstream. Nothing is copied through: hop-by-hop fields go, exactly one framing field is written,
 * forwarded fields are ours (RFC 9110 §7.6). */
#ifndef FLOW_FORWARD_H
#define FLOW_FORWARD_H

#include "flow/req.h"

/* When the plan is made: which fields of a request are never copied, because they are written anew or belong to this hop. */
void forward_compile(route *rt);
/* Serialises the upstream request head into the fetch's stream. `body_length`: >= 0 known, -1 chunked, -2 no body. 0 or < 0. */
MUST_USE int forward_request(req *r, int64_t body_length);
/* The client asks for an upgrade and the route passes it on. */
bool forward_upgrades(const req *r);
/* May this 101 of the upstream switch protocols? */
bool forward_may_tunnel(const req *r);

#endif
