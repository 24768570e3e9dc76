/* sink.h — the one body interface, both directions: filters, cache fill, protocol writers, the upstream uploader.
 *
 * push() takes what it can out of the queue and leaves the rest. It returns 0 (everything was taken, give more), ERR_AGAIN (keep what is
 * left in `q` and give nothing until the wake passed to whoever built the chain), or another error: the body is dead, abort() follows.
 * SINK_LAST: the queue's end is the end of the body (the queue may be empty). SINK_FLUSH: pass on what you hold.
 * abort(err) says that the body will never be complete: nothing after it, and what was sent must look broken to the receiver. */
#ifndef HTTP_SINK_H
#define HTTP_SINK_H

#include "base/slice.h"

enum { SINK_LAST = 1, SINK_FLUSH = 2 };

typedef struct sink sink;

struct sink_ops {
    int (*push)(sink *s, bufq *q, unsigned flags);
    void (*abort)(sink *s, int err);
};

struct sink {
    const struct sink_ops *ops;
};

static inline int sink_push(sink *s, bufq *q, unsigned flags)
{
    return s->ops->push(s, q, flags);
}

static inline void sink_abort(sink *s, int err)
{
    s->ops->abort(s, err);
}

#endif
