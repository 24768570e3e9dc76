/* dial.h — the connection that an unusual exchange (exchange.h) needs: TLS context and name, local address. */
#ifndef FLOW_DIAL_H
#define FLOW_DIAL_H

#include "base/attr.h"

struct lease_args;
struct req;

/* Fills in what differs from the usual, and the method that goes up. 0 or < 0. */
MUST_USE int dial_args(struct req *r, struct lease_args *a);

#endif
