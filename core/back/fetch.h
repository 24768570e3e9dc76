/* fetch.h — one upstream exchange (attempt): lease → head out → body out → head in → body in, over any client_ops.
 *
 * Owned by a request (one at a time). Everything it allocates lives in the request's pool, but the connection. It never wakes anybody itself: readiness of the upstream stream wakes the
 * request's job, and the step that waits calls in again. */
#ifndef BACK_FETCH_H
#define BACK_FETCH_H

#include "back/lease.h"
#include "base/slice.h"
#include "http/h1_state.h"
#include "http/msg.h"

struct client_ops;
typedef struct stream stream;

typedef struct fetch {
    lease lease;
    const struct client_ops *ops; /* client.h */
    pool *pool;            /* the request's */
    loop *l;
    job *user;
    enum method method;
    uint32_t head_max;     /* limit of the response head */
    struct h2_exchange *h2; /* HTTP/2; NULL: HTTP/1 */
    msg res;               /* the response, valid after read_head */
    headers trailers;
    mem *head_mem;         /* pins the chunk res points into */
    h1_scan scan;
    h1_chunk chunk;
    int64_t left;          /* BODY_LENGTH: bytes still to come */
    bool upload_done;      /* the last byte of the request was queued */
    bool chunked_upload;
    bool body_done, cut;   /* response body complete; broken */
    bool want_close;       /* do not reuse whatever the response says */
    bool tunnel;           /* 101: bytes are opaque from here */
    bool drop_trailers;    /* they are read and not kept */
    uint8_t trailers_state;
    uint16_t interim;      /* 1xx seen */
    uint64_t bytes_in, bytes_out; /* of this exchange */
    bufq upload;           /* last (fetch_init): request bytes not yet handed to the stream: head, then body pieces */
} fetch;

enum { FETCH_MAX_INTERIM = 8 };

void fetch_init(fetch *f, pool *p, loop *l, job *user);
/* The stream of the leased connection, or NULL. */
stream *fetch_stream(const fetch *f);
/* Gives the connection back or closes it, drops buffers. Idempotent. */
void fetch_end(fetch *f);

#endif
