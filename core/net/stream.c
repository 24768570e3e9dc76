/* stream.c — readiness, the in-buffer and the out-queue of a stream. What a read or write means is the ops' business; what to do with a
 * wake-up is the owner's. Nothing here blocks, and nothing here calls the owner. */
#include "net/stream.h"

#include "base/check.h"
#include "base/err.h"
#include "net/loop_impl.h"

#include <errno.h>
#include <unistd.h>

enum {
    FLUSH_IOV = 64,
    IN_KLASS_FIRST = MEM_16K,
    IN_ROOM_MIN = 2048,        /* less than this behind the unread bytes: go on in another chunk */
    IN_GROW_READ = 8192,       /* a read this large that filled its room asks for larger chunks */
    IN_FIRST = 16 * 1024 - (int)sizeof(mem),
    FILE_COPY = 48 * 1024,     /* file bytes read at once for ops without send_file; what TLS takes in one call */
    FLUSH_TURN = 1024 * 1024,  /* after so much the other streams have their turn */
};

/* A reset after the end was read comes as a plain read edge; only the socket knows. Rare, so a call is fine here. */
static void check_reset(stream *s)
{
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 && why) {
        s->flags |= STREAM_DEAD;
    }
}

/* libevent reports W with every read edge, so W alone means nothing: the owner is woken for it only when somebody waits to write. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    stream *s = arg;
    loop *l = s->l;
    unsigned flags = s->flags;
    bool wake = false;
    (void)fd;
    loop_enter(l);
    if (what & (EV_READ | EV_CLOSED)) {
        wake = !s->pause;
        if (what & EV_CLOSED) {
            flags |= STREAM_HUP_HINT;
            wake = true;
        }
        flags |= STREAM_READABLE;
        if (UNLIKELY(flags & STREAM_EOF)) {
            check_reset(s);
            flags |= s->flags & STREAM_DEAD;
        }
    }
    if (what & EV_WRITE) {
        flags |= STREAM_WRITABLE;
        if ((flags & (STREAM_CONNECTING | STREAM_WANT_WRITE)) || s->out.n || s->wire) {
            flags &= ~STREAM_WANT_WRITE;
            wake = true;
        }
    }
    s->flags = (uint16_t)flags;
    if (wake && s->user) {
        job_wake(l, s->user);
    }
    loop_drain(l);
}

static int watch(stream *s)
{
    event_assign(&s->ev, s->l->base, s->fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_event, s);
    if (event_add(&s->ev, NULL) < 0) {
        return ERR_IO;
    }
    s->flags |= STREAM_EVENT;
    return 0;
}

static inline void init(stream *s, loop *l, const struct stream_ops *ops, job *user, unsigned flags)
{
    s->l = l;
    s->ops = ops;
    s->tls = NULL;
    s->user = user;
    s->in_mem = NULL;
    s->in_at = s->in_end = 0;
    s->fd = -1;
    s->flags = (uint16_t)flags;
    s->pause = 0;
    s->in_klass = IN_KLASS_FIRST;
    s->wire = 0;
    bufq_init(&s->out);
    s->bytes_in = s->bytes_out = 0;
}

void stream_open_virtual(stream *s, loop *l, const struct stream_ops *ops, job *user)
{
    init(s, l, ops, user, STREAM_VIRTUAL | STREAM_READABLE | STREAM_WRITABLE);
}

int stream_open(stream *s, loop *l, int fd, job *user, unsigned flags)
{
    /* Read and write first: both bits are set until a call says otherwise. */
    init(s, l, &stream_plain_ops, user, flags & STREAM_CONNECTING ? flags : flags | STREAM_READABLE | STREAM_WRITABLE);
    s->fd = fd;
    int r = watch(s);
    if (r < 0) {
        close(fd);
        s->fd = -1;
    }
    return r;
}

static void drop_in(stream *s)
{
    mem_unref(s->in_mem);
    s->in_mem = NULL;
    s->in_at = s->in_end = 0;
}

void stream_close(stream *s)
{
    if (s->fd < 0 && !(s->flags & STREAM_VIRTUAL)) {
        return;
    }
    if (s->flags & STREAM_EVENT) {
        event_del(&s->ev);
    }
    if (s->ops->fini) {
        s->ops->fini(s);
    }
    drop_in(s);
    bufq_fini(&s->out);
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
    s->wire = 0;
    s->flags = STREAM_DEAD;
    s->user = NULL;
}

void stream_move(stream *to, stream *from)
{
    if (from->flags & STREAM_EVENT) {
        event_del(&from->ev);
    }
    *to = *from;
    to->user = NULL;
    if (to->ops->moved) {
        to->ops->moved(to);
    }
    if (watch(to) < 0) {
        to->flags = (uint16_t)((to->flags & ~STREAM_EVENT) | STREAM_DEAD);
    }
    from->fd = -1;
    from->tls = NULL;
    from->in_mem = NULL;
    from->in_at = from->in_end = 0;
    from->flags = STREAM_DEAD;
    bufq_init(&from->out);
}

static int fail(stream *s, int err)
{
    s->flags |= STREAM_DEAD;
    return err;
}

/* A chunk that takes the unread bytes and has room behind them. */
static int renew_in(stream *s)
{
    size_t unread = s->in_end - s->in_at;
    mem *m = NULL;
    if (unread == 0) {
        m = mem_new(s->in_klass);
    } else {
        m = mem_try_new(unread * 2 > IN_FIRST ? unread * 2 : IN_FIRST);
        if (!m) {
            return ERR_MEM;
        }
        memcpy(m->data, s->in_mem->data + s->in_at, unread);
    }
    mem_unref(s->in_mem);
    s->in_mem = m;
    s->in_at = 0;
    s->in_end = (uint32_t)unread;
    return 0;
}

static int make_room(stream *s)
{
    mem *m = s->in_mem;
    if (!m) {
        s->in_mem = mem_new(s->in_klass);
        s->in_at = s->in_end = 0;
        return 0;
    }
    if (s->in_at == s->in_end && m->refs == 1) {
        s->in_at = s->in_end = 0;
        return m->klass < s->in_klass ? renew_in(s) : 0;
    }
    if (m->cap - s->in_end >= IN_ROOM_MIN) {
        return 0;
    }
    if (m->refs == 1 && s->in_at >= m->cap / 2) {
        memmove(m->data, m->data + s->in_at, s->in_end - s->in_at);
        s->in_end -= s->in_at;
        s->in_at = 0;
        return 0;
    }
    return renew_in(s);
}

ssize_t stream_fill(stream *s, size_t max_buffered)
{
    if (!(s->flags & (STREAM_READABLE | STREAM_BUFFERED)) || s->pause || (s->flags & (STREAM_EOF | STREAM_DEAD | STREAM_CONNECTING))) {
        if (s->flags & STREAM_DEAD) {
            return ERR_RESET;
        }
        return s->flags & STREAM_EOF ? ERR_EOF : ERR_AGAIN;
    }
    if (s->in_end - s->in_at >= max_buffered) {
        return ERR_LIMIT;
    }
    int made = make_room(s);
    if (made < 0) {
        return made;
    }
    size_t room = s->in_mem->cap - s->in_end;
    ssize_t r = s->ops->read(s, s->in_mem->data + s->in_end, room);
    if (r > 0) {
        s->in_end += (uint32_t)r;
        s->bytes_in += (uint64_t)r;
        if ((size_t)r == room && room >= IN_GROW_READ && s->in_klass < MEM_256K) {
            s->in_klass++;
        }
        return r;
    }
    if (s->in_at == s->in_end && s->in_mem->refs == 1) {
        drop_in(s); /* nothing came: an idle stream holds no buffer */
    }
    if (r == ERR_EOF) {
        s->flags |= STREAM_EOF;
    } else if (r != ERR_AGAIN) {
        s->flags |= STREAM_DEAD;
    }
    return r;
}

void stream_consume(stream *s, size_t n)
{
    CHECK(n <= s->in_end - s->in_at);
    s->in_at += (uint32_t)n;
}

void stream_take(stream *s, bufq *q, size_t n)
{
    size_t have = s->in_end - s->in_at;
    if (n > have) {
        n = have;
    }
    if (n) {
        bufq_push_mem(q, s->in_mem, s->in_mem->data + s->in_at, n);
        s->in_at += (uint32_t)n;
    }
}

void stream_release_in(stream *s)
{
    if (s->in_at == s->in_end) {
        drop_in(s);
        s->in_klass = IN_KLASS_FIRST;
    }
}

int stream_send(stream *s, str bytes)
{
    if (s->flags & STREAM_DEAD) {
        return ERR_RESET;
    }
    if (s->out.n == 0 && s->wire == 0 && (s->flags & STREAM_WRITABLE) && bytes.n) {
        struct iovec v = {.iov_len = bytes.n};
        memcpy(&v.iov_base, &bytes.p, sizeof bytes.p);
        ssize_t r = s->ops->write(s, &v, 1, false);
        if (r >= 0) {
            s->bytes_out += (uint64_t)r;
            bytes = str_from(bytes, (size_t)r);
        } else if (r != ERR_AGAIN) {
            return fail(s, (int)r);
        }
    }
    if (bytes.n) {
        bufq_push_copy(&s->out, bytes);
    }
    return 0;
}

void stream_push(stream *s, bufq *q)
{
    bufq_move(&s->out, q);
}

/* The memory slices at the head of the queue as an iovec; *more: something follows. */
static int gather(const bufq *q, struct iovec *v, bool *more)
{
    int n = 0;
    for (; n < FLUSH_IOV && (uint32_t)n < q->n; n++) {
        const slice *at = bufq_at(q, (uint32_t)n);
        if (!at->p) {
            break;
        }
        memcpy(&v[n].iov_base, &at->p, sizeof at->p);
        v[n].iov_len = at->n;
    }
    *more = (uint32_t)n < q->n;
    return n;
}

/* File bytes through memory, for ops that must see them. */
static ssize_t copy_file(stream *s, const slice *f, bool more)
{
    mem *m = mem_new(MEM_64K);
    size_t n = f->n < FILE_COPY ? f->n : FILE_COPY;
    ssize_t r = pread(f->file->fd, m->data, n, f->off);
    if (r > 0) {
        struct iovec v = {.iov_base = m->data, .iov_len = (size_t)r};
        r = s->ops->write(s, &v, 1, more || (size_t)r < f->n);
    } else {
        r = r < 0 ? err_from_errno(errno) : ERR_IO;
    }
    mem_unref(m);
    return r;
}

static ssize_t flush_file(stream *s)
{
    const slice *f = bufq_at(&s->out, 0);
    int64_t off = f->off;
    bool more = s->out.n > 1;
    if (!s->ops->send_file) {
        return copy_file(s, f, more);
    }
    return s->ops->send_file(s, f->file->fd, &off, f->n < FLUSH_TURN ? f->n : FLUSH_TURN, more);
}

int stream_flush(stream *s)
{
    if (s->flags & STREAM_DEAD) {
        return ERR_RESET;
    }
    for (size_t done = 0; s->out.n;) {
        if (!(s->flags & STREAM_WRITABLE)) {
            return ERR_AGAIN;
        }
        if (done >= FLUSH_TURN) {
            stream_want_write(s);
            return ERR_AGAIN;
        }
        struct iovec v[FLUSH_IOV];
        bool more = false;
        int n = gather(&s->out, v, &more);
        ssize_t r = n ? s->ops->write(s, v, n, more) : flush_file(s);
        if (r < 0) {
            return r == ERR_AGAIN ? ERR_AGAIN : fail(s, (int)r);
        }
        done += (size_t)r;
        s->bytes_out += (uint64_t)r;
        bufq_drop(&s->out, (size_t)r);
    }
    if (s->wire) {
        int r = s->ops->flush(s);
        return r < 0 && r != ERR_AGAIN ? fail(s, r) : r;
    }
    return 0;
}

int stream_shut(stream *s)
{
    int r = stream_flush(s);
    if (r < 0 || (s->flags & STREAM_SHUT)) {
        return r;
    }
    r = s->ops->shut(s);
    if (r == 0) {
        s->flags |= STREAM_SHUT;
    }
    return r < 0 && r != ERR_AGAIN ? fail(s, r) : r;
}

void stream_pause(stream *s, unsigned reason)
{
    s->pause |= (uint8_t)reason;
}

void stream_resume(stream *s, unsigned reason)
{
    if (!(s->pause & reason)) {
        return;
    }
    s->pause &= (uint8_t)~reason;
    if (!s->pause && s->user && ((s->flags & (STREAM_READABLE | STREAM_BUFFERED)) || s->in_at < s->in_end)) {
        job_wake(s->l, s->user);
    }
}

void stream_want_write(stream *s)
{
    if (s->flags & STREAM_WRITABLE) {
        if (s->user) {
            job_wake(s->l, s->user);
        }
        return;
    }
    s->flags |= STREAM_WANT_WRITE;
}
