/* errand.h — one request's way through an unusual exchange (exchange.h): its body and target, the connection it needs, the head it gets back. Called only
 * where the route has an exchange. */
#ifndef FLOW_ERRAND_H
#define FLOW_ERRAND_H

#include "base/str.h"

#include <stdbool.h>

struct req;

/* The request goes to another route, of whichever kind: attempts count anew there, and peers that were tried may be asked again. */
void errand_anew(struct req *r);
/* Before a peer is chosen: body and target of this exchange. 0, ERR_AGAIN (waits for the client's body), < 0. */
MUST_USE int errand_prepare(struct req *r);
/* After r->res was made of the upstream's head: what the route changes in it. */
void errand_change_head(struct req *r);
/* X-Accel-Limit-Rate of the upstream's answer. */
void errand_take_rate(struct req *r);
/* Index of the first attempt that this route made; those before it were made before a redirect. For any route. */
int errand_first(const struct req *r);
/* May this interim response be passed? */
bool errand_passes_interim(struct req *r);

#endif
