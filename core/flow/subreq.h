/* subreq.h — sub-requests: requests that the gateway asks itself, in the name of another one.
 *
 * A sub-request is a request like any other: a third implementation of proto_ops stands where a client's protocol would. It starts at the route step in its
 * parent's site, has the parent's fields, address and TLS facts, GET and no body (or, when asked for, the parent's method and its held body, shared), and passes
 * limits, hooks and content like a client's; the access step was passed by the parent. $request_uri and $request are the parent's. It is logged only where
 * log_subrequest is on.
 *
 * The parent starts it and waits (REQ_WAIT_SUBREQ); its job is woken when the head came, when bytes came and when it is over. The parent's end cancels it,
 * unless it is detached. Bounds: SUBREQ_DEPTH, the sink's limit, and the time limits of the route that serves it. */
#ifndef FLOW_SUBREQ_H
#define FLOW_SUBREQ_H

#include "flow/req.h"

enum { SUBREQ_DEPTH = 50 };

typedef struct subreq subreq;

enum subreq_sink {
    SUBREQ_DROP,  /* the body is read and dropped: up to `limit` bytes, then the exchange is cut */
    SUBREQ_QUEUE, /* kept until taken: more than `limit` bytes are not read ahead */
};

struct subreq_args {
    str path;         /* decoded and normalised, as location choice sees it */
    str query;        /* .p NULL: none */
    bool like_parent; /* its method instead of GET */
    bool with_body;   /* and the parent's body, which is held (body_hold) */
    bool detached;    /* it goes on when the parent is over; nothing of it can be asked then */
    uint8_t sink;     /* enum subreq_sink */
    size_t limit;
    /* The head of its answer is about to be "sent": sub->res, and variables of the sub-request, may be read here and copied into the parent's pool. Nothing
     * may be run. NULL: nobody wants to know. Not called once the parent is over. */
    void (*on_head)(req *parent, req *sub, void *arg);
    void *arg;
};

/* Starts one; it runs in a job of its own, after this step returned. *out lives as long as the parent; NULL when detached. 0, ERR_LIMIT (too deep), ERR_MEM. */
MUST_USE int subreq_start(req *parent, const struct subreq_args *a, subreq **out);
/* Id of the client's request behind r, which may be that request. */
uint64_t subreq_main_id(const req *r);
/* The status of its head; 0: none yet. */
int subreq_status(const subreq *s);
/* Nothing more comes. */
bool subreq_is_over(const subreq *s);
/* Its body ended where it should. */
bool subreq_is_complete(const subreq *s);
/* Moves what came (SUBREQ_QUEUE) to the end of q and lets it go on. Bytes moved. */
size_t subreq_take(subreq *s, bufq *q);
/* Ends it. */
void subreq_cancel(subreq *s);

#endif
