/* h2_stream.h — one stream of HTTP/2: the request on it, body bytes that came and wait for it, body bytes that wait to go. */
#ifndef FRONT_H2_STREAM_H
#define FRONT_H2_STREAM_H

#include "front/h2_server.h"

struct h2_stream {
    list node;            /* h2_conn.streams */
    list work;            /* h2_conn.ready, later h2_conn.pending */
    h2_conn *h;
    req *r;               /* until it is done */
    int32_t id;
    int err;              /* what is wrong with the request's head */
    int in_err;           /* what its body ended with; 0: fine */
    uint32_t send_ms, frame_max;
    int64_t left;         /* body bytes the request still promises; -1: it did not say */
    int64_t moved_ms;     /* when body bytes last went, or began to wait */
    uint64_t taken;       /* body bytes given to the request */
    sink sink;
    bufq in, out;
    struct h2_late *late; /* trailers of the response, where they outlive the request */
    stream *tunnel;       /* after an extended CONNECT was accepted */
    bool started, ended;  /* the request runs; the client sent everything */
    bool head_sent, last; /* of the response; the last byte is in `out` */
    bool broken;          /* it never will be: the stream is reset after what is there */
    bool malformed;       /* reset after the answer (RFC 9113 §8.1.1) */
    bool connect;         /* extended CONNECT */
    bool want_wake, sent_continue, widened;
};

/* A request begins; NULL: refused. */
h2_stream *h2_stream_open(h2_conn *h, int32_t id);
/* Its head is complete and the bytes that came with it are used up. */
void h2_stream_start(h2_stream *st);
void h2_stream_got(h2_stream *st, str bytes);
void h2_stream_got_end(h2_stream *st, const headers *trailers, int err);
/* The session forgets it, or the connection goes: the request is aborted with `err`. */
void h2_stream_close(h2_stream *st, int err);
/* For the session's events. */
void h2_stream_supply(const h2_stream *st, size_t max, struct h2_supply *s);
void h2_stream_moved(h2_stream *st);

#endif
