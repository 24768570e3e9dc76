/* h2.h — the server side of an HTTP/2 connection: bytes in, events out; frames out. No I/O; nghttp2 stays behind this page.
 *
 * Flow-control windows are manual: what arrives is credited only when its taker says so (h2_credit). Frames are made when h2_send asks for them, so that one
 * call per loop turn serves all streams. Response bodies are not copied (but small ones): `pull` says how many bytes there
 * are, they move from `body` behind their frame header.
 * Events come from within h2_recv and h2_send; in them only h2_reset, h2_credit and h2_calm may be called. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "base/slice.h"
#include "http/h2_block.h"

typedef struct h2 h2;

/* Error codes, RFC 9113 §7. */
enum { H2_NO_ERROR = 0, H2_PROTOCOL_ERROR = 1, H2_INTERNAL_ERROR = 2, H2_REFUSED = 7, H2_CANCEL = 8, H2_CALM = 11, H2_HTTP_1_1_REQUIRED = 13 };

enum { H2_FRAME_HEAD = 9, H2_FRAME_MAX = 16384 };

struct h2_options {
    h1_limits head;        /* of a request; `head` is announced as SETTINGS_MAX_HEADER_LIST_SIZE */
    uint32_t streams;      /* open at a time */
    uint32_t window;       /* of a stream, for its first bytes: more only when somebody reads */
    bool settings_may_lack; /* the client's first frame need not be SETTINGS */
    bool calm_on_excess;   /* a head past the limits ends the connection instead of getting its answer */
};

/* What `pull` says about a stream's body. */
struct h2_supply {
    size_t n;              /* bytes to send now, at most what was asked; 0 and not last: none yet (h2_resume) */
    bool last;             /* the body ends with them */
    bool broken;           /* it never will: the stream is reset */
    const headers *trailers; /* with `last`: fields that follow; NULL: none */
};

struct h2_events {
    /* A request begins: the message to fill, its pool included; *stream is what later events are about. NULL: refused. */
    msg *(*on_open)(void *arg, int32_t id, void **stream);
    /* Its head is complete. err: the answer it gets (h2_block_request), or 0. */
    void (*on_head)(void *arg, void *stream, const h2_block *b, bool ended);
    void (*on_data)(void *arg, void *stream, str bytes);
    /* The request is complete, trailers (NULL: none) included; err: it broke its own rules. Not called when on_head said `ended`. */
    void (*on_end)(void *arg, void *stream, const headers *trailers, int err);
    /* The last frame of the response is out. */
    void (*on_sent)(void *arg, void *stream);
    /* Gone, whatever the reason; the last event of this stream. */
    void (*on_close)(void *arg, void *stream, uint32_t code);
    void (*pull)(void *arg, void *stream, size_t max, struct h2_supply *s);
    /* Where the body's bytes are. */
    bufq *(*body)(void *arg, void *stream);
    /* n of them left. */
    void (*on_moved)(void *arg, void *stream, size_t n);
};

MUST_USE h2 *h2_new(const struct h2_options *o, const struct h2_events *e, void *arg);
/* No events come of it. */
void h2_free(h2 *s);
/* Everything is taken. 0, or < 0: the connection is over once what h2_send still makes is out: ERR_LIMIT a budget (h2_excess), ERR_INVALID broken. */
MUST_USE int h2_recv(h2 *s, str bytes);
/* Appends frames to `out` until there are none (0) or `out` holds `max` bytes (ERR_AGAIN). Other < 0: broken. */
MUST_USE int h2_send(h2 *s, bufq *out, size_t max);
/* Nothing more to read or to write. */
bool h2_is_over(const h2 *s);
/* The budget that was exceeded, or NULL. */
const char *h2_excess(const h2 *s);
/* A header block has begun and is not complete. */
bool h2_is_in_head(const h2 *s);
/* It took too long: its stream is reset, the connection goes on. Only while h2_is_in_head. */
void h2_expire_head(h2 *s);

/* m->status, m->h (connection-specific fields are left out), and Content-Length as m->body says; `last`: no body follows. */
MUST_USE int h2_submit_head(h2 *s, int32_t id, const msg *m, bool last);
/* 1xx */
MUST_USE int h2_submit_info(h2 *s, int32_t id, const msg *m);
/* The body goes on. */
void h2_resume(h2 *s, int32_t id);
void h2_reset(h2 *s, int32_t id, uint32_t code);
/* n body bytes were taken by whoever wanted them. */
void h2_credit(h2 *s, int32_t id, size_t n);
/* Body bytes of a stream that nobody takes: only the connection's window gets them back. */
void h2_forget(h2 *s, size_t n);
/* DATA frames of more than H2_FRAME_MAX bytes may be made when the peer takes them. */
void h2_long_frames(h2 *s, uint32_t n);
/* The stream's window becomes `n`: a reader is there. */
void h2_widen(h2 *s, int32_t id, uint32_t n);
/* First half of a graceful end: no new requests, please (GOAWAY with the largest id). */
void h2_notice(h2 *s);
/* Second half: what came so far is served, nothing else. */
void h2_goaway(h2 *s, uint32_t code);
/* Gives buffers back. */
void h2_shrink(h2 *s);

#endif
