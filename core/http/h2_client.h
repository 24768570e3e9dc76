/* h2_client.h — the client side of an HTTP/2 connection, one exchange at a time: bytes in, message out; frames out. No I/O.
 *
 * The connection outlives its exchanges: between two of them it still takes bytes (PING, SETTINGS, GOAWAY). What arrives is kept only up to the stream's window
 * (H2_CLIENT_WINDOW); the window opens as far as h2_client_took says that bytes went on. The peer is untrusted: heads are bounded, and what nghttp2 does not
 * bound of control frames the budget does (h2_budget.h). */
#ifndef HTTP_H2_CLIENT_H
#define HTTP_H2_CLIENT_H

#include "base/slice.h"
#include "http/msg.h"

typedef struct h2_client h2_client;

enum { H2_CLIENT_WINDOW = 256 * 1024, H2_CLIENT_INTERIM = 8 };

/* One exchange, embedded in its owner; pointers are borrowed until h2_client_end. */
typedef struct h2_exchange {
    pool *pool;              /* where heads and trailers go */
    uint32_t head_max;       /* decoded bytes of a head: beyond, the exchange fails */
    bufq *upload;            /* request body: sent from here */
    const bool *upload_done; /* nothing will be added to it */
    const headers *upload_trailers; /* sent at its end; NULL: none */
    /* -- filled by the session */
    int32_t id;              /* 0: not begun */
    bool has_head;           /* res is the final head */
    bool ended;              /* the response is complete */
    bool refused;            /* the peer did no work for it: it can be repeated whatever it is */
    int err;                 /* it will never be complete: ERR_* */
    msg res;
    headers trailers;        /* .pool NULL: none */
    bufq in;                 /* body bytes not taken yet */
    msg *interim;            /* 1xx heads, H2_CLIENT_INTERIM at most */
    int ninterim, interim_at;
    uint32_t head_bytes;
} h2_exchange;

struct h2_client_request {
    str method, path, authority, scheme;
    const field *v;          /* further fields; names are sent in lower case */
    int n;
    bool no_body;            /* the head is all */
    bool is_head;            /* HEAD: the answer has no body */
};

/* NULL: memory is out. */
MUST_USE h2_client *h2_client_new(void);
void h2_client_free(h2_client *s);
/* Begins an exchange. 0, ERR_LIMIT (the connection takes no more), ERR_MEM. */
MUST_USE int h2_client_begin(h2_client *s, h2_exchange *x, const struct h2_client_request *q);
/* Its owner lets go of it: drops what it holds, and cancels the stream when it has not ended. */
void h2_client_end(h2_client *s);
/* Takes all bytes; `m` is the chunk they lie in (body bytes are referenced, not copied). 0, or < 0: the connection is broken. */
MUST_USE int h2_client_recv(h2_client *s, mem *m, str bytes);
/* Appends frames to `out` up to about `max` bytes: 0 nothing is left that could be sent now, ERR_AGAIN there is more, < 0 broken. */
MUST_USE int h2_client_send(h2_client *s, bufq *out, size_t max);
/* The upload has got more bytes, or its end. */
void h2_client_resume(h2_client *s);
/* n bytes of x->in went on. */
void h2_client_took(h2_client *s, size_t n);
/* May another exchange begin? */
bool h2_client_is_usable(const h2_client *s);

#endif
