/* nobody.h — what takes the place of a client that went away while its exchange goes on: it asks for nothing and takes everything. */
#ifndef FLOW_NOBODY_H
#define FLOW_NOBODY_H

#include "flow/req.h"

/* For a request that loses its client: does the route want it to go on (exchange.ignore_abort), and can it, with all of its body here and
 * none of the answer sent? Then it has a client again when this returns true. */
MUST_USE bool nobody_takes_over(req *r);

#endif
