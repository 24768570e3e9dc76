/* bio.c — the BIO between OpenSSL and a stream.
 *
 * Reads ask the socket only while the stream is readable, so the read that finds a record incomplete costs no system call. Writes only
 * collect; tls_bio_flush sends what a step produced in one go (a handshake flight, several records). */
#include "tls/stream_tls_impl.h"

#include "base/check.h"
#include "base/err.h"

#include <openssl/bio.h>

enum { FLUSH_IOV = 16, SMALL_FLIGHT = 4096 };

static size_t read_early(struct stream_tls *st, char *buf, size_t n)
{
    size_t have = st->early_end - st->early_at;
    n = n < have ? n : have;
    memcpy(buf, st->early->data + st->early_at, n);
    st->early_at += (uint32_t)n;
    if (st->early_at == st->early_end) {
        mem_unref(st->early);
        st->early = NULL;
    }
    return n;
}

static int on_read(BIO *b, char *buf, size_t n, size_t *got)
{
    struct stream_tls *st = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    *got = 0;
    if (st->early) {
        *got = read_early(st, buf, n);
        return 1;
    }
    ssize_t r = ERR_AGAIN;
    if (st->ended) {
        return 0;
    }
    if (st->s->flags & STREAM_READABLE) {
        r = stream_sock_read(st->s, buf, n);
    }
    if (r > 0) {
        *got = (size_t)r;
        return 1;
    }
    if (r == ERR_AGAIN) {
        st->starved = true;
        BIO_set_retry_read(b);
        return 0;
    }
    st->ended = true;
    if (r != ERR_EOF) {
        st->io_err = (int16_t)r;
    }
    return 0;
}

/* Copies behind the last chunk; bytes that fitted. The chunks are ours alone. */
static size_t wire_append(bufq *q, const char *buf, size_t n)
{
    if (q->n == 0) {
        return 0;
    }
    slice *last = bufq_at(q, q->n - 1);
    size_t used = (size_t)(last->p - last->mem->data) + last->n, room = last->mem->cap - used;
    n = n < room ? n : room;
    memcpy(last->mem->data + used, buf, n);
    last->n += n;
    q->bytes += n;
    return n;
}

static int on_write(BIO *b, const char *buf, size_t n, size_t *put)
{
    struct stream_tls *st = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    *put = n;
    size_t k = wire_append(&st->wire, buf, n);
    for (buf += k, n -= k; n; buf += k, n -= k) {
        mem *m = mem_new(st->wire.n == 0 && n <= SMALL_FLIGHT ? MEM_16K : MEM_64K);
        k = n < m->cap ? n : m->cap;
        memcpy(m->data, buf, k);
        bufq_push(&st->wire, (slice){.p = m->data, .n = k, .mem = m});
    }
    return 1;
}

static long on_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    const struct stream_tls *st = BIO_get_data(b);
    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1; /* sent when the step is over */
    case BIO_CTRL_EOF:
        return st->ended;
    default:
        return 0;
    }
}

/* Per process, made once. */
static BIO_METHOD *method(void)
{
    static BIO_METHOD *m;
    if (!m) {
        m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
        REQUIRE(m != NULL);
        BIO_meth_set_read_ex(m, on_read);
        BIO_meth_set_write_ex(m, on_write);
        BIO_meth_set_ctrl(m, on_ctrl);
    }
    return m;
}

BIO *tls_bio_new(struct stream_tls *st)
{
    BIO *b = BIO_new(method());
    REQUIRE(b != NULL);
    BIO_set_data(b, st);
    BIO_set_init(b, 1);
    return b;
}

int tls_bio_flush(struct stream_tls *st, bool more)
{
    stream *s = st->s;
    int r = 0;
    st->is_held = false;
    timer_clear(&st->hold);
    while (st->wire.n && r == 0) {
        struct iovec v[FLUSH_IOV];
        int n = 0;
        for (; n < FLUSH_IOV && (uint32_t)n < st->wire.n; n++) {
            const slice *at = bufq_at(&st->wire, (uint32_t)n);
            memcpy(&v[n].iov_base, &at->p, sizeof at->p);
            v[n].iov_len = at->n;
        }
        ssize_t k = s->flags & STREAM_WRITABLE ? stream_sock_write(s, v, n, more) : ERR_AGAIN;
        if (k < 0) {
            r = (int)k;
        } else {
            bufq_drop(&st->wire, (size_t)k);
        }
    }
    s->wire = (uint32_t)st->wire.bytes;
    return r;
}
