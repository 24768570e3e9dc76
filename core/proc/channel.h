/* channel.h — messages between the master and one worker, over a SOCK_SEQPACKET pair: a message
 * arrives whole or not at all, and may carry one descriptor. Nothing is queued on our side: a peer
 * that leaves the socket's buffer full (hundreds of messages) does not answer any more and is
 * treated as failed. */
#ifndef PROC_CHANNEL_H
#define PROC_CHANNEL_H

#include "base/str.h"
#include "net/loop.h"

typedef struct channel channel;

/* table: what is said. M: by the master, W: by the worker. */
enum channel_type {
    CHANNEL_LISTENER = 1, /* M: text = address as configured, fd */
    CHANNEL_SEGMENT,      /* M: text = name, fd, arg = size */
    CHANNEL_PREPARE,      /* M: generation, fd = the bundle */
    CHANNEL_COMMIT,       /* M: generation */
    CHANNEL_DISCARD,      /* M: generation: forget what was prepared */
    CHANNEL_SETTLE,       /* M: the previous generation is not needed any more */
    CHANNEL_QUIT,         /* M: arg = ms that what is in flight may take */
    CHANNEL_LOG,          /* M: text = path, fd: a log file, opened (again) by the master */
    CHANNEL_STATUS,       /* M: arg = ticket; W: arg = ticket, fd = memfd with JSON */
    CHANNEL_UPSTREAMS,    /* M: arg = ticket, fd = what was changed in upstreams (back/changes.h), text = "up UPSTREAM SERVER" or empty; W: arg = ticket: done */
    CHANNEL_READY,        /* W: generation prepared (or, at the start, running) */
    CHANNEL_DONE,         /* W: generation committed or rolled back to */
    CHANNEL_FAILED,       /* W: generation, text = why */
    CHANNEL_TYPES
};

enum { CHANNEL_TEXT_MAX = 16384 };

typedef struct channel_msg {
    enum channel_type type;
    int fd; /* -1: none. Sent: borrowed. Received: the receiver's, close it */
    uint64_t generation;
    int64_t arg;
    str text; /* at most CHANNEL_TEXT_MAX, longer ones are cut. Received: borrowed until return */
} channel_msg;

typedef struct channel_user {
    void (*on_msg)(void *arg, const channel_msg *m);
    void (*on_end)(void *arg); /* the other side is gone; once. channel_close is still the user's */
    void *arg;
} channel_user;

const char *channel_type_name(enum channel_type type);
/* Both close-on-exec and non-blocking. */
MUST_USE int channel_pair(int fds[2]);
/* Takes `fd`. */
MUST_USE channel *channel_open(loop *l, int fd, const channel_user *user);
/* Allowed inside on_msg and on_end. */
void channel_close(channel *c);
/* 0; ERR_AGAIN: the other side does not read; other < 0: it is gone. */
MUST_USE int channel_send(channel *c, const channel_msg *m);

#endif
