/* sock.h — a connection that policy code opens: TCP, unix or TLS, over net/stream, with pools of idle connections.
 *
 * Calls never block: ERR_AGAIN says that `job` will run when it is worth asking again. Deadlines are the waiting task's (task_park). One operation reads or
 * connects at a time, and one writes; api_sock.c sees to that.
 *
 * Pools belong to the worker and outlive generations. An idle connection is reused only under the key and the TLS settings it was opened with. */
#ifndef SCRIPT_SOCK_H
#define SCRIPT_SOCK_H

#include "net/connect.h"
#include "net/idle.h"
#include "net/resolve.h"

typedef struct idle_conn idle_conn;
typedef struct sock sock;

/* What a receive waits for. */
enum sock_want {
    SOCK_BYTES, /* exactly n bytes */
    SOCK_LINE,  /* up to a line feed, which is dropped with a carriage return before it */
    SOCK_ALL,   /* up to the end */
    SOCK_ANY,   /* whatever comes first, at most n bytes */
};

enum {
    SOCK_RECEIVE_MAX = 64 << 20, /* bytes of one receive */
    SOCK_POOLS = 1024,           /* keys with idle connections, per worker */
    SOCK_POOL_SIZE = 30,         /* idle connections of a key unless said otherwise */
};

struct sock {
    list node;             /* among the process' sockets */
    void *owner;           /* its run's */
    job job;               /* woken by whatever the current operation waits for; its run is the owner's */
    idle_conn *c;          /* the connection; NULL: closed */
    uint8_t state;         /* enum in sock.c */
    bool reused;
    resolve_query *query;
    connect_op *race;
    char *key;             /* of its pool; owned */
    uint16_t port;
    int64_t connect_ms;    /* for the race, whose deadline is its own too */
    uint64_t tag;          /* of the TLS settings; 0: plain */
    uint32_t exchanges;    /* earlier users of the connection */
    char *got;             /* of an unfinished receive; owned */
    size_t got_n, got_cap;
};

struct sock_target {
    str host;              /* name, address or "unix:/path" */
    uint16_t port;
    str pool;              /* key of the pool; empty: host and port */
    uint64_t tag;          /* sock_tls_tag, when TLS is going to follow */
    int64_t connect_ms;
};

/* A closed socket; `run` is called when its job was woken. On the heap, not in Lua's memory: events and timers point into it. */
sock *sock_new(void (*run)(job *j), void *owner);
void sock_free(sock *k);
/* Closes and drops what it holds. Idempotent; the socket can connect again. */
void sock_close(sock *k);
bool sock_is_open(const sock *k);
/* From a pool, or a new connection. 0, ERR_AGAIN (call sock_connect_wait when woken), < 0 (closed). `r` may be NULL: addresses only. */
MUST_USE int sock_connect(sock *k, loop *l, resolver *r, const struct sock_target *to);
MUST_USE int sock_connect_wait(sock *k, loop *l);
/* The settings of a TLS connection as one number; never 0. */
uint64_t sock_tls_tag(str name, bool verify);
/* Starts TLS and continues: 0, ERR_AGAIN, < 0 (closed; *why is the reason as text). */
MUST_USE int sock_tls(sock *k, str name, bool verify, const char **why);
/* 0: *out is what was asked for, valid until sock_received. ERR_AGAIN; ERR_EOF, ERR_LIMIT and others: *out is what came before. */
MUST_USE int sock_receive(sock *k, enum sock_want want, size_t n, str *out);
/* *out was used. */
void sock_received(sock *k);
/* Queues a copy and writes: 0, ERR_AGAIN (sock_flush when woken), < 0. */
MUST_USE int sock_send(sock *k, const str *v, int n);
MUST_USE int sock_flush(sock *k);
/* Parks the connection for others. 0, or ERR_INVALID when bytes are pending (it is closed then). */
MUST_USE int sock_park(sock *k, loop *l, int64_t idle_ms, uint32_t size);

#endif
