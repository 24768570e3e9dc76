/* stream_tls.c — stream ops over SSL and the handshake.
 *
 * OpenSSL never sees the socket (bio.c), so WANT_READ is known from our own flag and stale entries of the error queue cannot turn "later" into
 * "broken". In TLS 1.3 the last flight of a handshake (a server's ticket, a client's Finished) is held back for a moment to
 * leave together with the first data. Record sizes start small, so that the first bytes of a large answer can be used before 16 KiB of
 * them have arrived, and grow when the transfer goes on. */
#include "tls/stream_tls.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "tls/stream_tls_impl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum {
    RECORD_SMALL = 1370,        /* with its 22 bytes of framing it fits a segment */
    RECORD_FULL = 16384,
    BURST_MAX = 12 * 1024,      /* a short answer fits the initial congestion window: one record */
    WARM_BYTES = 64 * 1024,
    COLD_AFTER_MS = 1000,
    WRITE_BATCH = 3 * RECORD_FULL, /* encrypted before it is sent: one chunk, one call */
    HOLD_MS = 50,
    FIRST_READ = 16 * 1024,
};

static int failed(struct stream_tls *st, int err)
{
    st->phase = TLS_FAILED;
    if (!st->error) {
        st->error = tls_reason();
    }
    ERR_clear_error();
    return err;
}

/* What OpenSSL has to say about a failure goes out, and before it what was held back for company. */
static void send_alert(struct stream_tls *st)
{
    if (st->wire.n && tls_bio_flush(st, false) < 0) {
        bufq_clear(&st->wire); /* the alert is a courtesy */
        st->s->wire = 0;
    }
}

/* A fatal alert ends the peer's side as close_notify does; the error queue tells them apart. */
static bool is_alert(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
}

/* Why an SSL call did not succeed. */
static int verdict(struct stream_tls *st)
{
    if (st->starved) {
        return ERR_AGAIN;
    }
    if (st->io_err) {
        return st->io_err;
    }
    if (SSL_get_shutdown(st->ssl) & SSL_RECEIVED_SHUTDOWN) {
        return is_alert() ? ERR_TLS : ERR_EOF;
    }
    return st->ended ? ERR_TLS_EOF : ERR_TLS;
}

/* ---- ops ---- */

static int push_wire(struct stream_tls *st)
{
    return st->wire.n && !st->is_held ? tls_bio_flush(st, false) : 0;
}

static ssize_t tls_read(stream *s, void *buf, size_t n)
{
    struct stream_tls *st = s->tls;
    size_t total = 0;
    if (st->phase != TLS_OPEN) {
        return ERR_TLS;
    }
    st->starved = false;
    s->flags &= ~STREAM_BUFFERED;
    while (total < n) {
        size_t got = 0;
        if (SSL_read_ex(st->ssl, (char *)buf + total, n - total, &got) != 1) {
            break;
        }
        total += got;
        if (!(s->flags & STREAM_READABLE) && !st->early && !SSL_has_pending(st->ssl)) {
            st->starved = true; /* asking OpenSSL would allocate a read buffer to learn the same */
            break;
        }
    }
    int sent = push_wire(st); /* a key update's answer, an alert */
    if (total) {
        if (!st->starved) {
            s->flags |= STREAM_BUFFERED; /* more records, or the end */
        }
        return (ssize_t)total;
    }
    if (sent < 0 && sent != ERR_AGAIN) {
        return sent;
    }
    int r = verdict(st);
    if (r == ERR_AGAIN) {
        if (st->is_held && !timer_is_set(&st->hold)) {
            timer_set(s->l, &st->hold, HOLD_MS);
        }
        return r;
    }
    if (r == ERR_EOF) {
        return r;
    }
    send_alert(st);
    return failed(st, r);
}

static size_t record_size(const struct stream_tls *st, size_t left, bool more)
{
    if (st->warm >= WARM_BYTES || (!more && st->warm + left <= BURST_MAX)) {
        return RECORD_FULL;
    }
    return RECORD_SMALL;
}

struct cursor {
    const struct iovec *v;
    int n;
    size_t at; /* into v[0] */
};

/* The next `want` bytes: in place when they lie in one piece, else copied together. */
static const char *next_piece(struct cursor *c, size_t want, char *room)
{
    const char *p = (const char *)c->v->iov_base + c->at;
    size_t done = 0;
    bool whole = c->v->iov_len - c->at >= want;
    while (done < want) {
        size_t have = c->v->iov_len - c->at, k = have < want - done ? have : want - done;
        if (!whole) {
            memcpy(room + done, (const char *)c->v->iov_base + c->at, k);
        }
        done += k;
        c->at += k;
        if (c->at == c->v->iov_len) {
            c->v++;
            c->at = 0;
        }
    }
    return whole ? p : room;
}

static size_t total_of(const struct iovec *v, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        total += v[i].iov_len;
    }
    return total;
}

static ssize_t tls_write(stream *s, const struct iovec *v, int n, bool more)
{
    struct stream_tls *st = s->tls;
    char room[RECORD_FULL];
    if (st->phase != TLS_OPEN) {
        return ERR_TLS;
    }
    if (s->wire) {
        int r = tls_bio_flush(st, true);
        if (r < 0) {
            return r;
        }
    }
    if (clock_ms() - st->written_ms > COLD_AFTER_MS) {
        st->warm = 0;
    }
    st->written_ms = clock_ms();
    size_t total = total_of(v, n), done = 0;
    struct cursor at = {.v = v, .n = n};
    while (done < total && done < WRITE_BATCH) {
        size_t k = record_size(st, total - done, more), put = 0;
        k = k < total - done ? k : total - done;
        if (SSL_write_ex(st->ssl, next_piece(&at, k, room), k, &put) != 1 || put != k) {
            return failed(st, verdict(st) == ERR_AGAIN ? ERR_TLS : verdict(st));
        }
        done += k;
        st->warm = st->warm < WARM_BYTES ? st->warm + (uint32_t)k : st->warm;
    }
    int r = tls_bio_flush(st, more || done < total);
    return r < 0 && r != ERR_AGAIN ? r : (ssize_t)done;
}

static int tls_flush(stream *s)
{
    return tls_bio_flush(s->tls, false);
}

/* close_notify; the connection's own end is the owner's business. */
static int tls_shut(stream *s)
{
    struct stream_tls *st = s->tls;
    if (st->phase != TLS_OPEN) {
        return 0;
    }
    if (!(SSL_get_shutdown(st->ssl) & SSL_SENT_SHUTDOWN)) {
        st->starved = false;
        SSL_shutdown(st->ssl);
        ERR_clear_error();
    }
    return tls_bio_flush(st, false);
}

static void tls_moved(stream *s)
{
    struct stream_tls *st = s->tls;
    st->s = s;
}

static void tls_fini(stream *s)
{
    struct stream_tls *st = s->tls;
    s->tls = NULL;
    s->ops = &stream_plain_ops;
    timer_stop(&st->hold);
    /* A missing close_notify must not make OpenSSL forget the session: truncation is reported, not punished. */
    SSL_set_shutdown(st->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(st->ssl);
    ERR_clear_error();
    bufq_fini(&st->wire);
    mem_unref(st->early);
    tls_server_unref(st->server);
    tls_client_unref(st->client);
    free(st->name);
    free(st);
}

static const struct stream_ops tls_ops = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .flush = tls_flush,
    .shut = tls_shut,
    .moved = tls_moved,
    .fini = tls_fini,
};

/* Until the first byte is judged the stream is plain, but owns a TLS state. */
static const struct stream_ops first_ops = {
    .name = "tls-first",
    .read = stream_sock_read,
    .write = stream_sock_write,
    .moved = tls_moved,
    .fini = tls_fini,
};

/* ---- sessions of a client ---- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct stream_tls *st = SSL_get_app_data(ssl);
    if (!st || !st->resume_slot) {
        return 0;
    }
    stream_tls_session_free(*st->resume_slot);
    *st->resume_slot = session;
    return 1; /* taken */
}

void stream_tls_client_callbacks(SSL_CTX *ssl)
{
    SSL_CTX_sess_set_new_cb(ssl, on_session);
}

void stream_tls_session_free(void *slot_value)
{
    SSL_SESSION_free(slot_value);
}

/* ---- opening ---- */

static void on_hold(timer *t)
{
    struct stream_tls *st = container_of(t, struct stream_tls, hold);
    if (st->is_held && tls_bio_flush(st, false) < 0) {
        return; /* what is left goes with the next write, an error shows up there */
    }
}

static struct stream_tls *attach(stream *s, SSL_CTX *ctx)
{
    struct stream_tls *st = calloc(1, sizeof *st);
    if (!st) {
        return NULL;
    }
    st->ssl = SSL_new(ctx);
    if (!st->ssl) {
        free(st);
        ERR_clear_error();
        return NULL;
    }
    BIO *b = tls_bio_new(st);
    SSL_set_bio(st->ssl, b, b);
    SSL_set_app_data(st->ssl, st);
    bufq_init(&st->wire);
    timer_init(&st->hold, on_hold);
    st->s = s;
    s->tls = st;
    return st;
}

/* From here on the in-buffer is for plaintext: what is in it already belongs to OpenSSL. */
static void take_over(stream *s, struct stream_tls *st)
{
    if (s->in_at < s->in_end) {
        st->early = s->in_mem;
        st->early_at = s->in_at;
        st->early_end = s->in_end;
    } else {
        mem_unref(s->in_mem);
    }
    s->in_mem = NULL;
    s->in_at = s->in_end = 0;
    s->ops = &tls_ops;
    s->flags |= STREAM_TLS;
    st->phase = TLS_HANDSHAKE;
}

int stream_tls_server(stream *s, tls_server *t)
{
    REQUIRE(!s->tls);
    struct stream_tls *st = attach(s, t->ssl);
    if (!st) {
        return ERR_MEM;
    }
    SSL_set_accept_state(st->ssl);
    st->server = tls_server_ref(t);
    st->phase = TLS_FIRST;
    s->ops = &first_ops;
    return 0;
}

static bool set_peer_name(struct stream_tls *st, str name, bool verify, bool sni)
{
    char z[TLS_NAME_MAX + 1];
    unsigned char ip[16];
    if (name.n > TLS_NAME_MAX || memchr(name.p, '\0', name.n)) {
        return false;
    }
    memcpy(z, name.p, name.n);
    z[name.n] = '\0';
    addr a;
    bool is_ip = addr_parse(name, 0, &a) == 0 && a.sa.sa_family != AF_UNIX;
    if (!is_ip && sni && SSL_set_tlsext_host_name(st->ssl, z) != 1) {
        return false;
    }
    if (!verify) {
        return true;
    }
    X509_VERIFY_PARAM *p = SSL_get0_param(st->ssl);
    if (!is_ip) {
        X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return X509_VERIFY_PARAM_set1_host(p, z, name.n) == 1;
    }
    bool v4 = a.sa.sa_family == AF_INET;
    memcpy(ip, v4 ? (const void *)&a.in.sin_addr : (const void *)&a.in6.sin6_addr, v4 ? 4 : 16);
    return X509_VERIFY_PARAM_set1_ip(p, ip, v4 ? 4 : 16) == 1;
}

/* A resumed handshake checks no certificate: the one of the first must have the name. */
static bool is_session_of(const SSL_SESSION *session, str name)
{
    X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
    char z[TLS_NAME_MAX + 1];
    memcpy(z, name.p, name.n); /* set_peer_name checked the length */
    z[name.n] = '\0';
    return peer && (X509_check_host(peer, z, name.n, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 || X509_check_ip_asc(peer, z, 0) == 1);
}

int stream_tls_client(stream *s, tls_client *t, str name, void **resume_slot)
{
    REQUIRE(!s->tls);
    struct stream_tls *st = attach(s, t->ssl);
    if (!st) {
        return ERR_MEM;
    }
    st->client = tls_client_ref(t);
    st->resume_slot = resume_slot;
    SSL_set_connect_state(st->ssl);
    take_over(s, st);
    if (name.n && !set_peer_name(st, name, t->verify, !t->no_sni)) {
        st->error = "invalid server name";
        return failed(st, ERR_INVALID);
    }
    if (resume_slot && *resume_slot && SSL_SESSION_is_resumable(*resume_slot) &&
        (!t->verify || !name.n || is_session_of(*resume_slot, name))) {
        SSL_set_session(st->ssl, *resume_slot);
    }
    return 0;
}

/* ---- handshake ---- */

/* RFC 8446 §5.1: a TLS connection starts with a handshake record, type 22; a request line starts with a capital letter. */
static int judge_first(stream *s, struct stream_tls *st)
{
    if (s->in_at == s->in_end) {
        ssize_t r = stream_fill(s, FIRST_READ);
        if (r < 0) {
            return (int)r;
        }
    }
    unsigned char first = (unsigned char)s->in_mem->data[s->in_at];
    if (first >= 'A' && first <= 'Z') {
        tls_fini(s);
        return ERR_PLAIN_ON_TLS;
    }
    take_over(s, st);
    return 0;
}

static int on_failure(struct stream_tls *st, int err)
{
    long why = SSL_get_verify_result(st->ssl);
    if (err == ERR_TLS_EOF) {
        err = ERR_EOF;
    }
    if (err == ERR_TLS && why != X509_V_OK && (SSL_get_verify_mode(st->ssl) & SSL_VERIFY_PEER)) {
        st->error = X509_verify_cert_error_string(why);
        err = ERR_TLS_VERIFY;
    }
    send_alert(st);
    return failed(st, err);
}

/* OpenSSL does not report the ticket that a TLS 1.2 server renews while it resumes (RFC 5077 §3.3). */
static void keep_renewed(struct stream_tls *st)
{
    if (!st->resume_slot || SSL_version(st->ssl) == TLS1_3_VERSION || !SSL_session_reused(st->ssl)) {
        return;
    }
    if (SSL_get_session(st->ssl) != *st->resume_slot) {
        stream_tls_session_free(*st->resume_slot);
        *st->resume_slot = SSL_get1_session(st->ssl);
    }
}

static int step(struct stream_tls *st)
{
    stream *s = st->s;
    st->starved = false;
    ERR_clear_error();
    if (SSL_do_handshake(st->ssl) == 1) {
        st->phase = TLS_OPEN;
        keep_renewed(st);
        if (SSL_has_pending(st->ssl) || st->early) {
            s->flags |= STREAM_BUFFERED;
        }
        st->is_held = st->wire.n && SSL_version(st->ssl) == TLS1_3_VERSION;
        if (st->is_held && !(s->flags & STREAM_BUFFERED)) {
            timer_set(s->l, &st->hold, HOLD_MS);
        }
        int r = push_wire(st);
        return r == ERR_AGAIN ? 0 : r;
    }
    if (!st->starved && SSL_want_client_hello_cb(st->ssl)) {
        return ERR_AGAIN;
    }
    int r = verdict(st);
    if (r != ERR_AGAIN) {
        return on_failure(st, r);
    }
    int sent = st->wire.n ? tls_bio_flush(st, false) : 0;
    return sent < 0 ? sent : ERR_AGAIN;
}

static int advance(stream *s, struct stream_tls *st)
{
    switch ((enum tls_phase)st->phase) {
    case TLS_OPEN:
        return 0;
    case TLS_FAILED:
        return ERR_TLS;
    case TLS_FIRST:
    case TLS_HANDSHAKE:
        break;
    }
    int r = s->wire ? tls_bio_flush(st, false) : 0;
    return r < 0 ? r : step(st);
}

int stream_tls_handshake(stream *s)
{
    struct stream_tls *st = s->tls;
    REQUIRE(st != NULL);
    int r = st->phase == TLS_FIRST ? judge_first(s, st) : 0;
    if (r == ERR_PLAIN_ON_TLS) {
        return r; /* st is gone */
    }
    if (r == 0) {
        r = advance(s, st);
    }
    if (r < 0 && r != ERR_AGAIN) {
        s->flags |= STREAM_DEAD;
    }
    return r;
}

/* ---- facts ---- */

void stream_tls_facts(const stream *s, struct stream_tls_facts *out)
{
    const struct stream_tls *st = s->tls;
    memset(out, 0, sizeof *out);
    out->protocol = out->cipher = out->alpn = out->server_name = STR_EMPTY;
    if (!st) {
        return;
    }
    const unsigned char *alpn = NULL;
    unsigned n = 0;
    out->protocol = str_c(SSL_get_version(st->ssl));
    out->cipher = str_c(SSL_get_cipher_name(st->ssl));
    SSL_get0_alpn_selected(st->ssl, &alpn, &n);
    if (n) {
        out->alpn = str_of((const char *)alpn, n);
    }
    if (st->name) {
        out->server_name = str_c(st->name);
    }
    out->resumed = SSL_session_reused(st->ssl) == 1;
}

const char *stream_tls_error(const stream *s)
{
    const struct stream_tls *st = s->tls;
    return st && st->error ? st->error : "no error";
}
