/* h2_server.h — HTTP/2 with a client: one connection, its streams, its deadlines, its end.
 *
 * What comes is decoded at once, but requests start only when the bytes at hand are used up: a stream that is reset in the same breath never becomes one.
 * What goes is made once per turn of the loop (h2_server_dirty marks, the late job makes): frames of all streams fill whole TLS records. */
#ifndef FRONT_H2_SERVER_H
#define FRONT_H2_SERVER_H

#include "front/conn.h"
#include "http/h2.h"

typedef struct h2_stream h2_stream;

typedef struct h2_conn {
    conn *c;
    h2 *session;
    list streams;        /* h2_stream.node: known to the session */
    list ready;          /* h2_stream.work: head complete, to be started */
    list pending;        /* h2_stream.work: body bytes wait for a window or for the socket */
    job late;
    uint32_t nstreams;
    uint32_t send_ms;    /* client_send_timeout of the newest request */
    uint64_t flushed_at; /* s.bytes_out at the last progress, for write_at */
    int64_t idle_at, head_at, write_at, stall_at; /* deadlines; 0: none */
    bool ending;         /* no event counts any more: what is queued goes out, then the connection */
    bool read_paused;    /* the client takes no bytes: neither do we */
    bool noticed;        /* the first GOAWAY was sent */
    bool want_goaway;    /* the last one is due */
    bool said_goaway;
} h2_conn;

/* What conn.c and accept.c call is in conn.h. There are frames to make. */
void h2_server_dirty(h2_conn *h);

#endif
