/* stream_plain.c — stream ops straight on the socket. The readiness bits are kept here: a short read or write clears its bit without another
 * call, since the kernel raises a new edge when there is more (SOCK_NOSPACE is set by a short write too). */
#include "base/err.h"
#include "net/stream.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

ssize_t stream_sock_read(stream *s, void *buf, size_t n)
{
    ssize_t r = 0;
    do {
        r = recv(s->fd, buf, n, 0);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        if ((size_t)r < n && !(s->flags & (STREAM_HUP_HINT | STREAM_PROBE))) {
            s->flags &= ~STREAM_READABLE;
        }
        return r;
    }
    if (r == 0) {
        return ERR_EOF;
    }
    if (errno == EAGAIN) {
        s->flags &= ~STREAM_READABLE;
        return ERR_AGAIN;
    }
    return err_from_errno(errno);
}

static ssize_t send_bytes(int fd, const struct iovec *v, int n, int flags)
{
    if (n == 1) {
        return send(fd, v->iov_base, v->iov_len, flags);
    }
    struct msghdr m = {.msg_iovlen = (size_t)n};
    memcpy(&m.msg_iov, &v, sizeof v); /* the field lacks a const it keeps */
    return sendmsg(fd, &m, flags);
}

ssize_t stream_sock_write(stream *s, const struct iovec *v, int n, bool more)
{
    size_t want = 0;
    for (int i = 0; i < n; i++) {
        want += v[i].iov_len;
    }
    ssize_t r = 0;
    do {
        r = send_bytes(s->fd, v, n, more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    if (r >= 0) {
        if ((size_t)r < want) {
            s->flags &= ~STREAM_WRITABLE;
        }
        return r;
    }
    if (errno == EAGAIN || (errno == ENOTCONN && (s->flags & STREAM_CONNECTING))) {
        s->flags &= ~STREAM_WRITABLE;
        return ERR_AGAIN;
    }
    return err_from_errno(errno);
}

/* A short count is no proof here (the file's pages come in pieces): only EAGAIN ends the writable state. sendfile has no MSG_MORE; `more` is
 * what the kernel decides by itself for all but the last piece. */
static ssize_t plain_send_file(stream *s, int fd, int64_t *off, size_t n, bool more)
{
    off_t at = *off;
    ssize_t r = 0;
    (void)more;
    do {
        r = sendfile(s->fd, fd, &at, n);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        *off = at;
        return r;
    }
    if (r == 0) {
        return ERR_IO; /* the file is shorter than promised */
    }
    if (errno == EAGAIN) {
        s->flags &= ~STREAM_WRITABLE;
        return ERR_AGAIN;
    }
    return err_from_errno(errno);
}

static int plain_shut(stream *s)
{
    return shutdown(s->fd, SHUT_WR) < 0 ? err_from_errno(errno) : 0;
}

const struct stream_ops stream_plain_ops = {
    .name = "plain",
    .read = stream_sock_read,
    .write = stream_sock_write,
    .send_file = plain_send_file,
    .shut = plain_shut,
};
