/* conn.h — one downstream connection: PROXY header, TLS, protocol choice, deadlines, drain, lingering close.
 *
 * An idle connection is this struct and nothing else: no buffers, no request. Its job runs the state; while a request is under way readiness is handed to
 * the request and the connection only watches for the client leaving. */
#ifndef FRONT_CONN_H
#define FRONT_CONN_H

#include "base/map.h"
#include "flow/plan.h"
#include "front/front.h"
#include "http/h1_state.h"
#include "http/sink.h"
#include "net/listen.h"
#include "net/stream.h"

typedef struct conn conn;
typedef struct plan_listen plan_listen;
typedef struct req req;
typedef struct front_listener front_listener;
typedef struct h1_limits h1_limits;

struct front_listener {
    listener ln;
    list node;
    front *f;
    plan *plan;            /* reference: the plan in force, or the last one that had this listener */
    uint32_t index;        /* in plan->listens */
    uint32_t refs;         /* the front's list, connections */
    bool gone;             /* not in the current plan */
    addr at;               /* without a descriptor: connections to this address come in at another listener */
};

struct front {
    loop *l;
    plan *plan;
    list listeners;
    list conns;
    uint32_t nconns, nidle;
    uint32_t max_connections, max_per_address;
    uint64_t accepted, refused, next_id;
    bool draining;
    timer drain_timer, grace_timer, tidy_timer;
    void (*on_drained)(void *arg);
    void *on_drained_arg;
    map per_address;       /* unused unless max_per_address */
};

enum { FRONT_IDLE_GRACE_MS = 200 }; /* drain: for a request that is already on its way */

enum conn_state {
    CONN_PROXY,     /* PROXY header expected */
    CONN_TLS,       /* handshake */
    CONN_SNIFF,     /* HTTP/1 or the preface of HTTP/2? */
    CONN_H2,        /* h2_server.c has it */
    CONN_HEAD,      /* waiting for, or reading, a request head */
    CONN_REQUEST,   /* a request is under way */
    CONN_DRAIN,     /* response done, its bytes still leave */
    CONN_DISCARD,   /* the rest of an unwanted request body is read away, then HEAD */
    CONN_LINGER,    /* our end is shut; reading away what comes so that the answer is not lost */
};

struct conn {
    stream s;
    list node;
    front *f;
    front_listener *fl;
    job job;
    timer timer;
    req *r;
    struct h2_conn *h2;    /* with CONN_H2 */
    plan *pinned;          /* reference, while a handshake may choose among its sites */
    addr peer;
    mem *proxy;            /* what its PROXY header said; NULL: it had none */
    char ip[16];           /* its text when IPv4, for the requests' heads and logs */
    uint64_t id;
    uint32_t requests;
    uint8_t ip_n;          /* 0: not made yet */
    uint8_t state;
    bool keepalive;        /* after the current request */
    bool chunked_out;      /* response is sent chunked */
    bool broken;           /* response was cut: close hard */
    bool to_close;         /* response body ends with the connection */
    bool want_drain_wake;  /* the request waits for the queue to shrink */
    bool sent_continue;
    bool reading;          /* a part of a head is here: counted in the statistics */
    bool pipelined;        /* the next head is here before the answer to the one before is done */
    bool idle;             /* counted in f->nidle */
    bool tunnel;
    bool late;             /* the head took too long */
    bool raw;              /* the request splices to our socket: it wants to know when that is writable */
    /* request body */
    uint8_t body;          /* enum msg_body */
    uint8_t body_state;    /* 0 reading, 1 trailers, 2 complete */
    uint32_t discarded;    /* bytes read away */
    struct conn_times times; /* of the last request's route */
    int64_t opened_ms;
    union {                /* a body is counted or chunked */
        int64_t left;
        h1_chunk chunk;
    };
    union {                /* a connection that lingers writes nothing more */
        int64_t linger_until_ms;
        uint64_t flushed_at; /* s.bytes_out at the last progress, for the write deadline */
    };
    h1_scan scan;
    sink sink;             /* response body */
};

/* Takes fd. */
void conn_open(front_listener *fl, int fd, const addr *from);
/* Closes and frees; no request may be attached. */
void conn_close(conn *c);
void conn_enter(conn *c, enum conn_state to);
/* Sends the end and reads away what still comes for a moment; frees the connection in the end. */
void conn_linger(conn *c);
void conn_set_idle(conn *c, bool idle);
void conn_set_reading(conn *c, bool reading);
const plan_listen *conn_listen(const conn *c);
/* Tells a request who its client is. */
void conn_introduce(conn *c, req *r);
/* The same by its stream, for a request that nobody made. */
void conn_tell(stream *s, req *r);
/* What the listener allows a request's head. */
h1_limits conn_head_limits(const conn *c);

/* h1_server.c */
void h1_server_run(conn *c);          /* states HEAD, REQUEST, DRAIN, DISCARD */
void h1_server_timeout(conn *c);
/* Answers `err` to what never became a request (plain HTTP on a TLS port), then closes. */
void h1_server_refuse(conn *c, int err);

/* h2_server.c: after ALPN, or the preface */
void h2_server_start(conn *c);
void h2_server_run(conn *c);
void h2_server_timeout(conn *c);
/* Graceful end: first that no more requests are wanted, `last`: that none is served. Closes nothing at once. */
void h2_server_drain(conn *c, bool last);
/* Everything ends with `err`; conn_close is left to do. */
void h2_server_kill(conn *c, int err);

void front_listener_unref(front_listener *fl);
/* Has this address all the connections it may have? `but` is not counted. */
bool front_address_is_full(const front *f, const addr *from, const conn *but);

#endif
