/* connect.h — opens outgoing connections: resolve → connect (v6/v4 race, RFC 8305 short form) with one deadline and a cancel. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "net/stream.h"

typedef struct connect connect_op;

struct connect_args {
    const addr *addrs;      /* candidates in order of preference; copied */
    int naddrs;
    const addr *bind_to;    /* NULL: any */
    int64_t timeout_ms;
    job *user;              /* woken when the result is there */
};

/* One address, the fast path used by pools: socket + connect; the stream is opened STREAM_CONNECTING and becomes writable when done.
 * 0 (in progress or connected) or ERR_*. stream_connected() tells the outcome at the first wake. */
MUST_USE int connect_start(stream *s, loop *l, const addr *to, const addr *bind_to, job *user);
/* After the wake: 0 connected, ERR_AGAIN still going, ERR_REFUSED, ERR_UNREACHABLE, ERR_TIMEOUT... */
MUST_USE int connect_finish(stream *s);

/* Several addresses: starts the first, the next of the other family 250 ms later or when one fails. */
MUST_USE connect_op *connect_race(loop *l, const struct connect_args *args);
/* 0: *out is an open stream (taken over; its user is NULL), the op is freed. ERR_AGAIN: not yet. Other: failed, freed. */
MUST_USE int connect_result(connect_op *c, stream *out);
void connect_cancel(connect_op *c);

#endif
