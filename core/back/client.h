/* client.h — client_ops: what an upstream protocol must do for fetch. HTTP/1 is h1_client.c. */
#ifndef BACK_CLIENT_H
#define BACK_CLIENT_H

#include "base/slice.h"

#include <sys/types.h>

struct fetch;
typedef struct headers headers;

struct client_ops {
    const char *name;
    /* Begins the exchange with the head that flow wrote as HTTP/1 text (borrowed); `trailers` of the request, for its end. NULL: the text is what is sent. 0, < 0. */
    int (*start)(struct fetch *f, str head, const headers *trailers);
    /* Writes the request head (already serialised by the caller into q for HTTP/1) and what fits of the body. 0, ERR_AGAIN, < 0. */
    int (*send)(struct fetch *f);
    /* Reads towards the response head. 0: f->res is complete; ERR_AGAIN; < 0. An interim 1xx gives 1 (f->res holds it; call again). */
    int (*read_head)(struct fetch *f);
    /* Moves decoded body bytes (at most `max`) into q. > 0, ERR_AGAIN, ERR_EOF (complete), < 0 (cut or broken). */
    ssize_t (*read_body)(struct fetch *f, bufq *q, size_t max);
    /* Lets go of the connection, before it is parked or closed; NULL: nothing to let go of. */
    void (*end)(struct fetch *f);
    /* May the connection be used again, now that the exchange is over? */
    bool (*reusable)(const struct fetch *f);
};

extern const struct client_ops h1_client_ops, h2_client_ops;

/* The leased connection speaks HTTP/2: gives it its session (kept while it is parked), and the fetch h2_client_ops. 0 or ERR_MEM. */
MUST_USE int h2_client_attach(struct fetch *f);

#endif
