/* lease.h — the right to use an upstream connection: from the idle pool of a peer, or connected (and TLS-handshaken) anew. */
#ifndef BACK_LEASE_H
#define BACK_LEASE_H

#include "base/str.h"
#include "net/addr.h"

typedef struct idle_conn idle_conn;
typedef struct job job;
typedef struct loop loop;
typedef struct peer peer;

typedef struct lease {
    peer *p;             /* borrowed: the attempt holds the reference */
    idle_conn *c;        /* the connection; NULL before and after */
    uint8_t state;
    bool reused;         /* came from the idle pool */
    bool pooled;
    bool h2_wanted;
    bool h2;             /* once usable: HTTP/2 is spoken */
    uint64_t tag;        /* what the connection was, or would be, opened with */
    struct tls_client *tls; /* borrowed while it lasts; NULL: plain */
    str tls_name;        /* borrowed from the request's pool */
    bool no_resume;      /* no TLS session is kept or used */
} lease;

struct lease_args {
    bool fresh;          /* not from the pool */
    bool pooled;         /* may be parked afterwards */
    bool h2;             /* HTTP/2: by prior knowledge, or with TLS if the peer chooses it */
    struct tls_client *tls; /* NULL: plain */
    str tls_name;        /* SNI and name to verify; empty: none */
    const struct addr *at;      /* instead of the peer's; NULL: that */
    bool no_resume;      /* no TLS session is kept or used */
    bool tcp_keepalive;
    uint64_t tag;        /* anything else that connections of a pool must have in common; 0: nothing */
    const struct addr *bind; /* local address; NULL: any */
    job *user;           /* woken by the connection from now on */
};

/* Starts. 0: usable now; ERR_AGAIN: the job will be woken, call lease_wait; else failed and nothing is held. */
MUST_USE int lease_start(lease *le, loop *l, peer *p, const struct lease_args *a);
/* 0, ERR_AGAIN, ERR_* (closed). */
MUST_USE int lease_wait(lease *le);
/* Back to the pool when `reusable` and under keepalive_requests, else closed. Idempotent. */
void lease_end(lease *le, bool reusable);

#endif
