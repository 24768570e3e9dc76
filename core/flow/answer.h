/* answer.h — the head for the client: made of the upstream's (nothing is copied through: hop-by-hop and hidden fields go, RFC 9110 §7.6), and what the gateway
 * adds to every head. */
#ifndef FLOW_ANSWER_H
#define FLOW_ANSWER_H

#include "flow/req.h"

/* Makes r->res out of r->fetch.res. 0 or < 0. */
MUST_USE int answer_from_upstream(req *r);
/* Applies the route's response header operations and the gateway's own fields (Server, Date) to r->res. */
MUST_USE int answer_finish_head(req *r);

#endif
