/* retry.h — "may this attempt be repeated?" as a pure function of what happened. Rules: connect errors always move on (nothing was sent); a reused connection that died before the
 * first response byte is repeated once on a new connection, for idempotent requests only; other failures before the first response byte are repeated when the request is idempotent (or the
 * route allows others) and its body can be sent again; statuses listed by the route count as failures; never after a byte went to the client. */
#ifndef BACK_RETRY_H
#define BACK_RETRY_H

#include "conf/conf.h"
#include "http/method.h"

struct retry_facts {
    enum method method;
    int err;                 /* negative ERR_*, or 0 when the response has a listed status */
    int status;              /* 0: none */
    bool connected;          /* the connection was up before the failure */
    bool sent;               /* at least one byte of the request left */
    bool got_bytes;          /* at least one byte of the response came */
    bool reused;             /* the connection came from the idle pool */
    bool body_replayable;    /* no body, or all of it is still at hand */
    int attempts;            /* made so far, this one included; stale reuses are not counted */
    int stale_retries;       /* reuses that died, so far */
    int peers;               /* of the group */
    int64_t spent_ms;        /* since the first attempt began */
    bool streamed;           /* the body goes up as it comes: nothing is repeated once the connection stands */
};

/* Bits of exchange.retry_on: why an attempt failed, and that the request may not be safe to repeat. */
enum retry_reason {
    RETRY_ON_ERROR = 1, RETRY_ON_TIMEOUT = 2, RETRY_ON_INVALID = 4, RETRY_ON_500 = 8, RETRY_ON_502 = 16, RETRY_ON_503 = 32, RETRY_ON_504 = 64, RETRY_ON_403 = 128,
    RETRY_ON_404 = 256, RETRY_ON_429 = 512, RETRY_ON_UNSAFE = 1024,
    RETRY_ON_NOTHING = 2048, /* the rules of a list hold, and it is empty */
};

enum retry_verdict {
    RETRY_NO,
    RETRY_SAME,   /* the pooled connection was stale: same peer, fresh connection, does not count as a failure */
    RETRY_NEXT,   /* another peer */
    RETRY_FREE,   /* another peer, and this attempt does not count: its connection had died in the pool */
};

/* The rules of the route's list (exchange.retry_on), to the letter as nginx has them. */
enum retry_verdict retry_decide_listed(const struct conf_route *r, const struct retry_facts *f);
/* The bit of a status in such a list; 0: it has none. */
unsigned retry_reason_of_status(int status);
/* The usual rules. */
enum retry_verdict retry_decide(const struct conf_route *r, const struct retry_facts *f);
/* Does this status count as a failure by the route's retry_status ("500", "5xx", "429")? */
bool retry_status_listed(const struct conf_strs *list, int status);

#endif
