/* listen.h — listening sockets: opened in the master, inherited or passed to workers, accepted from in batches. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include "net/addr.h"
#include "net/loop.h"
#include "net/timer.h"

#include <event2/event_struct.h>

struct listen_args {
    addr at;
    int backlog;       /* 0: 4096 */
    bool reuseport;
    bool v6only;
};

/* Opens and binds; port 0 is replaced in *args by the real one. fd >= 0 or ERR_* (errno is kept for the message). A stale unix socket file is
 * replaced; one that answers is not (EADDRINUSE). */
MUST_USE int listen_open(struct listen_args *args);

typedef struct listener {
    struct event ev;
    loop *l;
    int fd;       /* -1: stopped */
    bool paused;  /* out of descriptors: on_accept comes again when `retry` has passed */
    timer retry;
    void *data; /* the owner's */
    /* One accepted, non-blocking, TCP_NODELAY descriptor; takes fd. `peer` is borrowed. */
    void (*on_accept)(struct listener *ln, int fd, const addr *peer);
} listener;

/* At most 64 connections per event; stops for 100 ms when descriptors run out (EMFILE), with one log line. */
MUST_USE int listener_start(listener *ln, loop *l, int fd, void (*on_accept)(listener *, int, const addr *), void *data);
/* Stops accepting; the descriptor stays open (the master owns it) unless close_fd. */
void listener_stop(listener *ln, bool close_fd);

#endif
