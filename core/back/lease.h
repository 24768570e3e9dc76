/* lease.h — the right to use an upstream connection: from the idle pool of a peer, or connected (and TLS-handshaken) anew. */
#ifndef BACK_LEASE_H
#define BACK_LEASE_H

#include "back/group.h"

typedef struct lease {
    peer *p;             /* borrowed: the attempt holds the reference */
    idle_conn *c;        /* the connection; NULL before and after */
    uint8_t state;
    bool reused;
    str tls_name;
    timer *deadline;     /* the request's timer: lease sets connect_timeout on it */
} lease;

/* Starts. `fresh`: not from the pool. 0: usable now; ERR_AGAIN: the job is woken, call lease_wait; else failed (nothing held). */
MUST_USE int lease_start(lease *le, loop *l, peer *p, bool fresh, bool pooled, str tls_name, job *user);
/* 0, ERR_AGAIN, ERR_* (closed). */
MUST_USE int lease_wait(lease *le);
/* Back to the pool when `reusable` and under keepalive_requests, else closed. Idempotent. */
void lease_end(lease *le, bool reusable);

#endif
