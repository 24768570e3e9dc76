/* splice.h — bytes from one plain socket to another through a pipe, without copying them to user space: large bodies and tunnels.
 *
 * Both streams are plain, `from` has no unread bytes and `to` nothing queued. A pipe that holds bytes belongs to its pair of
 * streams until they are delivered; empty ones are pooled by the loop. */
#ifndef NET_SPLICE_H
#define NET_SPLICE_H

#include "net/stream.h"

typedef struct splice_pipe {
    struct splice_pipe *next; /* in the loop's pool */
    int rd, wr;
    size_t held;              /* bytes taken from `from` and not yet with `to` */
} splice_pipe;

/* NULL when descriptors run out: copy instead. */
MUST_USE splice_pipe *splice_pipe_get(loop *l);
/* Back to the pool; closed when it still holds bytes. NULL is fine. */
void splice_pipe_put(loop *l, splice_pipe *p);

bool splice_can(const stream *from, const stream *to);
/* Moves at most n bytes, those held included; n > 0. > 0: delivered. ERR_AGAIN: with p->held, `to` is full (its owner is woken when it is not);
 * without, `from` is drained. ERR_EOF: `from` ended and everything was delivered. Other < 0: the stream that broke has STREAM_DEAD. */
MUST_USE ssize_t stream_splice(stream *from, stream *to, splice_pipe *p, size_t n);

#endif
