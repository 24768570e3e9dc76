/* stream.h — a byte stream over a socket: in-buffer, out-queue, readiness, pause reasons. Plain or TLS behind stream_ops.
 *
 * One edge-triggered event for its whole life. An event only sets readiness bits and wakes the owner's job; the owner reads and writes
 * first and waits only when told ERR_AGAIN. A short read means drained: there is no EAGAIN probe. Buffers are attached only while bytes are
 * pending, so an idle stream is just this struct.
 *
 * Data and the end may arrive in one edge; then no other edge follows. The event therefore asks for EV_CLOSED (EPOLLRDHUP): once it was seen, short
 * reads prove nothing and reading goes on to the end. A reset that shares its edge with data has no such mark in libevent: who needs the
 * end itself (a body delimited by close) sets STREAM_PROBE, which distrusts short reads for one more recv each.
 *
 * In-buffer rule: bytes handed out by stream_in stay where they are as long as someone holds a reference of `in_mem` (zero-copy: messages
 * and slices point into it). The stream only appends behind them; when the room ends it goes on in a fresh chunk, moving unconsumed bytes. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/mem.h"
#include "base/slice.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/timer.h"

#include <event2/event_struct.h>
#include <sys/uio.h>

enum {
    STREAM_READABLE = 1,  /* a read may find bytes */
    STREAM_WRITABLE = 2,  /* a write may take bytes */
    STREAM_EOF = 4,       /* the peer's end was read */
    STREAM_DEAD = 8,      /* broken: only close is left */
    STREAM_CONNECTING = 16,
    STREAM_HUP_HINT = 32, /* the event said hang-up: a read will find the end after the rest of the data */
    STREAM_TLS = 64,
    STREAM_EVENT = 128,   /* the event is registered */
    STREAM_WANT_WRITE = 256, /* wake once when writable, though `out` may be empty */
    STREAM_PROBE = 512,   /* a short read does not mean drained; the owner's to set and clear */
    STREAM_SHUT = 1024,   /* our end was sent */
    STREAM_VIRTUAL = 4096, /* no descriptor: the ops are all there is, their owner sets READABLE and WRITABLE */
    STREAM_BUFFERED = 2048, /* the ops hold bytes a read can give although the socket is drained */
};

/* Why reading is paused; reading goes on when all bits are clear. */
enum { PAUSE_SINK = 1, PAUSE_RATE = 2, PAUSE_SCRIPT = 4, PAUSE_WINDOW = 8 };

typedef struct stream stream;

struct stream_ops {
    const char *name;
    /* > 0 bytes, ERR_AGAIN, ERR_EOF, other < 0. */
    ssize_t (*read)(stream *s, void *buf, size_t n);
    ssize_t (*write)(stream *s, const struct iovec *v, int n, bool more);
    /* Sends what an earlier write took but could not send (wire > 0); NULL when the ops keep nothing. 0, ERR_AGAIN, < 0. */
    int (*flush)(stream *s);
    /* File → stream; NULL when the ops have none (bytes are then copied through memory). */
    ssize_t (*send_file)(stream *s, int fd, int64_t *off, size_t n, bool more);
    /* Sends the end (close_notify / shutdown). 0, ERR_AGAIN, < 0. */
    int (*shut)(stream *s);
    /* The struct lives elsewhere now; may be NULL. */
    void (*moved)(stream *s);
    void (*fini)(stream *s);
};

struct stream {
    struct event ev;
    loop *l;
    const struct stream_ops *ops;
    void *tls;        /* state of stream_tls; NULL when plain */
    job *user;        /* woken on readiness; the owner's. May be NULL: nobody is interested (idle) */
    mem *in_mem;      /* attached while in_at < in_end or a reader pins it */
    uint32_t in_at, in_end;
    int fd;
    uint16_t flags;   /* STREAM_* */
    uint8_t pause;    /* PAUSE_* */
    uint8_t in_klass; /* chunk class for the next in-buffer: grows with a large body */
    uint32_t wire;    /* bytes the ops took and still have to send (TLS records) */
    bufq out;
    uint64_t bytes_in, bytes_out;
};

/* Takes `fd` (non-blocking). The event is registered; `flags`: STREAM_CONNECTING for a connect in progress. */
MUST_USE int stream_open(stream *s, loop *l, int fd, job *user, unsigned flags);
/* A stream over something that is no socket (a stream of HTTP/2): both directions ready, `user` woken by whoever made it. */
void stream_open_virtual(stream *s, loop *l, const struct stream_ops *ops, job *user);
/* Detaches the event, drops buffers, runs ops->fini, closes the descriptor. Idempotent. */
void stream_close(stream *s);
static inline bool stream_is_open(const stream *s)
{
    return s->fd >= 0;
}

/* Unread bytes. */
static inline str stream_in(const stream *s)
{
    return (str){s->in_mem ? s->in_mem->data + s->in_at : NULL, (size_t)(s->in_end - s->in_at)};
}
/* Reads once into the in-buffer; > 0 bytes added, ERR_AGAIN, ERR_EOF (flag set, buffered bytes stay), other < 0 (STREAM_DEAD set). Returns ERR_AGAIN at once,
 * without a system call, while the stream is known to be drained, and while `pause` is set. ERR_LIMIT when `max_buffered` bytes are waiting already. */
MUST_USE ssize_t stream_fill(stream *s, size_t max_buffered);
void stream_consume(stream *s, size_t n);
/* Moves up to n unread bytes into q as a slice of the in-buffer (no copy). */
void stream_take(stream *s, bufq *q, size_t n);
/* Gives the in-buffer back when it is empty (before going idle). */
void stream_release_in(stream *s);

/* Writes flat bytes now if nothing is queued, queues a copy of what did not go. 0 (all gone or queued) or < 0. */
MUST_USE int stream_send(stream *s, str bytes);
/* Queues everything of q (moved). No system call. */
void stream_push(stream *s, bufq *q);
/* Writes the queue: 0 when everything is with the kernel, ERR_AGAIN, other < 0 (STREAM_DEAD set). */
MUST_USE int stream_flush(stream *s);
/* Sends the end of our direction after the queue: shutdown(2), close_notify. 0, ERR_AGAIN (call again when woken), other < 0. */
MUST_USE int stream_shut(stream *s);
/* Not sent yet, in all layers. */
static inline size_t stream_queued(const stream *s)
{
    return s->out.bytes + s->wire;
}
void stream_pause(stream *s, unsigned reason);
/* Clears the bit; wakes the owner when reading may go on and there may be something to read. */
void stream_resume(stream *s, unsigned reason);
/* Asks for a wake when writable although nothing is queued (splice). */
void stream_want_write(stream *s);
/* From here on the end itself matters (a body delimited by close): short reads are followed by another one. */
static inline void stream_expect_end(stream *s)
{
    s->flags |= STREAM_PROBE | STREAM_READABLE;
}
/* Moves an open stream to another struct (`to` holds nothing); its user is NULL then. */
void stream_move(stream *to, stream *from);
/* For ops: the plain socket under the stream. Both keep READABLE and WRITABLE up to date: a short read or write clears the bit. */
ssize_t stream_sock_read(stream *s, void *buf, size_t n);
ssize_t stream_sock_write(stream *s, const struct iovec *v, int n, bool more);
extern const struct stream_ops stream_plain_ops;

#endif
