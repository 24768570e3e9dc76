/* splice.c — socket → pipe → socket. The pipe is filled only while it is empty: then EAGAIN can only mean that the socket is drained, not
 * that the pipe is full. A short count proves nothing here (a pipe counts pages, not bytes), so readiness ends with EAGAIN alone. */
#include "net/splice.h"

#include "base/err.h"
#include "net/loop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIPE_BYTES = 256 * 1024, POOL_MAX = 32 };

static void pipe_free(splice_pipe *p)
{
    close(p->rd);
    close(p->wr);
    free(p);
}

splice_pipe *splice_pipe_get(loop *l)
{
    splice_pipe *p = l->pipes;
    if (p) {
        l->pipes = p->next;
        l->npipes--;
        return p;
    }
    int fds[2];
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
        return NULL;
    }
    p = malloc(sizeof *p);
    if (!p) {
        close(fds[0]);
        close(fds[1]);
        return NULL;
    }
    *p = (splice_pipe){.rd = fds[0], .wr = fds[1]};
    (void)fcntl(p->wr, F_SETPIPE_SZ, PIPE_BYTES); /* refused past the user's share: the default size works too */
    return p;
}

void splice_pipe_put(loop *l, splice_pipe *p)
{
    if (!p) {
        return;
    }
    if (p->held || l->npipes >= POOL_MAX) {
        pipe_free(p);
        return;
    }
    p->next = l->pipes;
    l->pipes = p;
    l->npipes++;
}

void splice_pool_fini(loop *l)
{
    while (l->pipes) {
        splice_pipe *p = l->pipes;
        l->pipes = p->next;
        pipe_free(p);
    }
    l->npipes = 0;
}

bool splice_can(const stream *from, const stream *to)
{
    return from->ops == &stream_plain_ops && to->ops == &stream_plain_ops && from->in_at == from->in_end && to->out.n == 0;
}

static ssize_t move(int from, int to, size_t n)
{
    ssize_t r = 0;
    do {
        r = splice(from, NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (r < 0 && errno == EINTR);
    return r;
}

static int broken(stream *s, int why)
{
    s->flags |= STREAM_DEAD;
    return err_from_errno(why);
}

static int take(stream *from, splice_pipe *p, size_t n)
{
    if (from->flags & STREAM_DEAD) {
        return ERR_RESET;
    }
    if (from->flags & STREAM_EOF) {
        return ERR_EOF;
    }
    if (!(from->flags & STREAM_READABLE) || from->pause) {
        return ERR_AGAIN;
    }
    ssize_t r = move(from->fd, p->wr, n < PIPE_BYTES ? n : PIPE_BYTES);
    if (r > 0) {
        p->held = (size_t)r;
        from->bytes_in += (uint64_t)r;
        return 0;
    }
    if (r == 0) {
        from->flags |= STREAM_EOF;
        return ERR_EOF;
    }
    if (errno != EAGAIN) {
        return broken(from, errno);
    }
    from->flags &= (uint16_t)~STREAM_READABLE;
    return ERR_AGAIN;
}

static ssize_t give(stream *to, splice_pipe *p)
{
    if (to->flags & STREAM_DEAD) {
        return ERR_RESET;
    }
    if (!(to->flags & STREAM_WRITABLE)) {
        stream_want_write(to);
        return ERR_AGAIN;
    }
    ssize_t r = move(p->rd, to->fd, p->held);
    if (r > 0) {
        p->held -= (size_t)r;
        to->bytes_out += (uint64_t)r;
        return r;
    }
    if (r < 0 && errno != EAGAIN) {
        return broken(to, errno);
    }
    to->flags &= (uint16_t)~STREAM_WRITABLE;
    stream_want_write(to);
    return ERR_AGAIN;
}

ssize_t stream_splice(stream *from, stream *to, splice_pipe *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        int taken = p->held ? 0 : take(from, p, n - done);
        ssize_t r = taken < 0 ? taken : give(to, p);
        if (r < 0) {
            return done ? (ssize_t)done : r;
        }
        done += (size_t)r;
        if (done >= PIPE_BYTES) {
            break; /* others have their turn; the owner calls again */
        }
    }
    return (ssize_t)done;
}
