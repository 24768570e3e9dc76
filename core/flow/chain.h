/* chain.h — the sinks of a response: [body hook] → [filters] → [spool] → [rate] → protocol (filter.h has the filters' order). The spool takes the response off the upstream at its own pace:
 * bounded memory, then an unlinked temp file, so that a slow client never holds the upstream. */
#ifndef FLOW_CHAIN_H
#define FLOW_CHAIN_H

#include "flow/req.h"

typedef struct chain chain;

/* Built once the head has been sent; what is in it depends on the route, its hooks and the response. */
chain *chain_new(req *r);
/* Pushes into the first sink; takes everything of q. 0, ERR_AGAIN (held here; wait for a wake, then chain_drain), < 0. */
MUST_USE int chain_push(chain *c, bufq *q, unsigned flags);
/* The source has nothing more for now: filters that hold bytes back pass them on. As chain_push. */
MUST_USE int chain_flush(chain *c);
/* After a wake: moves on what sinks hold. 0: nothing is held back; ERR_AGAIN; < 0. */
MUST_USE int chain_drain(chain *c);
/* The body will never be complete. */
void chain_abort(chain *c, int err);
/* Everything incl. the last byte went into the protocol. */
bool chain_is_done(const chain *c);
/* May more be read from the upstream now (false: wait for the client)? */
bool chain_wants(const chain *c);
/* No filter and nothing held back: bytes may go past the sinks, untouched and in order. */
bool chain_is_plain(const chain *c);

#endif
