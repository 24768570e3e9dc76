/* realip.h — who the client is when trusted proxies stand in front of us, and what the upstream is
 * told about it.
 *
 * A forwarded field is believed only when the connection comes from the site's trusted networks.
 * With `trust_recursive` trusted addresses are skipped from the right, so that the client is the
 * last address that no trusted proxy wrote about itself; without it the last one is taken. Entries
 * that are not addresses end the search: what is left of them was written by somebody who does not
 * matter any more. */
#ifndef FLOW_REALIP_H
#define FLOW_REALIP_H

#include "flow/req.h"

/* Sets r->client.addr from the site's header. Without trust it is the peer. */
void realip_apply(req *r);
/* Is the peer in the site's trusted networks? */
bool realip_peer_is_trusted(const req *r);
/* The X-Forwarded-For to send: what the trusted peer sent and the peer itself; for any other peer
 * its address alone. */
str realip_forwarded_for(req *r);
/* X-Forwarded-Proto and -Host of a trusted peer are kept: the value to send. */
str realip_forwarded_proto(req *r);
str realip_forwarded_host(req *r);

#endif
