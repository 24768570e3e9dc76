/* probe.h — active checks: asks peers whether they are well, whether requests come or not.
 *
 * One worker of all checks a group: the one that leads its shared table (shm/peers.h); results are
 * flags that all see. A check is one exchange on a connection of its own: tcp connects (with TLS:
 * completes the handshake), http asks for a path and looks at status and body, grpc calls
 * grpc.health.v1.Health/Check. HTTP is the group's: HTTP/2 where requests use that. `check_fall` failures
 * in a row take a peer out, `check_rise` successes bring it back. Pauses vary by some percent, so
 * that checks of many peers, groups and gateways do not march in step. */
#ifndef BACK_PROBE_H
#define BACK_PROBE_H

#include "back/group.h"

typedef struct bufq bufq;
typedef struct fetch fetch;
typedef struct regex regex;

/* What a group's checks ask for and expect, with copies of all texts (probe_spec.c). */
enum { PROBE_BODY_MAX = 65536 /* of a body is looked at */ };

struct probe_spec {
    enum conf_check kind;
    int64_t every, timeout, jitter; /* jitter: percent */
    uint32_t rise, fall;
    uint16_t port;              /* 0: the peer's */
    bool h2;                    /* HTTP/2 is spoken */
    char *service;              /* grpc */
    char *line, *host, *fields; /* of the request: host may be NULL */
    struct conf_strs statuses;  /* owned; none: 2xx and 3xx */
    char *text;                 /* part of the body; NULL: any */
    regex *pattern;             /* instead of text */
    str tls_name;               /* empty: the Host sent */
};

void probe_spec_init(struct probe_spec *ps, const struct conf_upstream *c);
void probe_spec_fini(struct probe_spec *ps);
/* The request's head as HTTP/1 text. */
str probe_spec_head(const struct probe_spec *ps, str host, pool *p);
bool probe_spec_takes_status(const struct probe_spec *ps, int status);
bool probe_spec_wants_body(const struct probe_spec *ps);
bool probe_spec_takes_body(const struct probe_spec *ps, const bufq *q, pool *p);

/* grpc (probe_grpc.c): the message of the request; what the whole answer says: 0, or ERR_CHECK_GRPC, ERR_CHECK_SERVING. */
void probe_grpc_write(const char *service, bufq *q);
MUST_USE int probe_grpc_verdict(const fetch *f, const bufq *body);

/* A new configuration (c: with its texts). 0, or ERR_CONF with a text in err when `check` cannot be
 * compiled; with g NULL it only looks. */
MUST_USE int probe_check(const struct conf_upstream *c, char *err, size_t cap);
/* Starts, changes or ends the checks of a group. */
void probe_apply(group *g, const struct conf_upstream *c);
/* The group is about to be freed. */
void probe_stop(group *g);

#endif
