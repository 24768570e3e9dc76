/* filter_rate.h — bandwidth of a response: bytes a second, after a first part that is free.
 *
 * One second's worth may go at once, as with nginx; then it flows. What limits it: the upstream's X-Accel-Limit-Rate or a script's word (rate_say), else the
 * route's. Stands behind the spool: the upstream is not slowed down. */
#ifndef FLOW_FILTER_RATE_H
#define FLOW_FILTER_RATE_H

#include "flow/req.h"

extern const struct filter filter_rate;

/* This exchange's rate from now on, whatever the route says; 0: none. */
void rate_say(req *r, int64_t bytes_per_second);
/* The same for rate_after. */
void rate_say_after(req *r, int64_t bytes);
/* The rate in force. */
int64_t rate_now(req *r);
/* The rate at which the upstream is read; 0: as fast as it goes. */
int64_t rate_upstream(req *r);
/* Bytes of a size such as "16k", "1m", "1g"; -1: not one. */
int64_t rate_parse(str text);

/* How many bytes may have been moved by now: `rate` a second since `since_us`, a second's worth in advance. */
int64_t rate_allows(int64_t rate, int64_t since_us);
/* Milliseconds until a useful piece may be moved when `moved` bytes are more than is allowed now. */
int64_t rate_wait_ms(int64_t rate, int64_t since_us, int64_t moved);

#endif
