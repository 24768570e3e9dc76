/* h2_upstream.c — our side of an HTTP/2 connection to an upstream that sends anything: bytes in, messages out, frames out, without a socket.
 *
 * Input: a byte of options, then what the upstream sends. After each of its frames we do what core/back/h2_client.c does after each read: send what is
 * due, take the body, and begin the next exchange when one is over. Properties: the same is heard however the bytes were cut; heads have well-formed fields
 * and at most one framing field, and written as HTTP/1 they parse again; a body that ended is as long as its head said; what waits here is never more than the
 * window; an exchange that failed says why, and only one that did not begin is said to be repeatable; what goes out is a sequence of whole frames. */
#include "support.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/mem.h"
#include "http/h2_client.h"

#include <stdio.h>
#include <string.h>

/* How the exchanges ask, and when what came is taken. */
enum { OPTION_UPLOAD = 1, OPTION_HEAD = 2, OPTION_SMALL_HEAD = 4, OPTION_LAZY = 8, OPTION_TRAILERS = 16, OPTION_ENDLESS = 32, OPTION_BATCH = 64 };
enum { FRAME_HEAD = 9, EXCHANGES_MAX = 8, LOG_MAX = 1 << 16 };

/* A connection, the exchange on it, and what was heard. */
struct talk {
    h2_client *session;
    unsigned options;
    h2_exchange x;
    pool p;
    headers trailers;
    bufq upload, out;
    bool upload_done, open;
    int begun;
    uint64_t got, sum;
    char log[LOG_MAX];
    size_t n;
};

static void note(struct talk *t, const char *what, long a, long b)
{
    if (t->n + 96 < LOG_MAX) {
        t->n += (size_t)snprintf(t->log + t->n, 96, "%s %d %ld %ld\n", what, t->begun, a, b);
    }
}

/* ---- what must hold */

static void check_fields(const headers *h)
{
    uint32_t at = 0, framing = 0;
    for (const field *f; (f = headers_each(h, &at)) != NULL;) {
        REQUIRE(headers_name_is_ok(f->name) && headers_value_is_ok(f->value));
        framing += f->token == TOKEN_CONTENT_LENGTH;
        REQUIRE(f->token != TOKEN_TRANSFER_ENCODING && f->token != TOKEN_CONNECTION && f->token != TOKEN_UPGRADE);
    }
    REQUIRE(framing <= 1);
}

/* What a client of HTTP/1 would read is what was meant. */
static void check_as_h1(msg *m, bool is_head)
{
    field *length = headers_find(&m->h, TOKEN_CONTENT_LENGTH);
    if (length) {
        length->flags |= FIELD_DROP; /* framing is written anew */
    }
    size_t cap = h1_write_size(&m->h) + 256;
    char *text = malloc(cap);
    fmt f = fmt_of(text, cap);
    h1_write_status(&f, 1, m->status, m->reason);
    h1_write_fields(&f, &m->h);
    h1_write_framing(&f, m);
    fmt_put(&f, STR("\r\n"));
    pool p;
    pool_init(&p, 1024);
    msg again;
    msg_init(&again, &p);
    h1_limits lim = support_wide_limits();
    lim.fields = 1000; /* as many as a head of HTTP/2 may bring */
    h1_scan scan = {0};
    int n = h1_parse_response(fmt_str(&f), &lim, &scan, is_head ? METHOD_HEAD : METHOD_GET, &again);
    REQUIRE(!f.cut && (size_t)n == fmt_str(&f).n && again.status == m->status);
    REQUIRE(again.body == m->body && (m->body != MSG_BODY_LENGTH || again.length == m->length));
    pool_fini(&p);
    free(text);
}

static void check_head(struct talk *t)
{
    msg *m = &t->x.res;
    REQUIRE(m->status >= 200 && m->status <= 999);
    check_fields(&m->h);
    check_as_h1(m, t->options & OPTION_HEAD);
}

static void check_interim(const struct talk *t)
{
    const h2_exchange *x = &t->x;
    REQUIRE(x->ninterim <= H2_CLIENT_INTERIM);
    for (int i = 0; i < x->ninterim; i++) {
        REQUIRE(x->interim[i].status >= 100 && x->interim[i].status < 200 && x->interim[i].status != 101);
    }
}

/* ---- one exchange after the other */

static void begin(struct talk *t)
{
    const field fields[] = {{.name = STR("Accept"), .value = STR("*/*")}, {.name = STR("X-A"), .value = STR("1")}};
    struct h2_client_request q = {
        .method = t->options & OPTION_HEAD ? STR("HEAD") : STR("POST"),
        .path = STR("/"),
        .authority = STR("a"),
        .scheme = STR("http"),
        .v = fields,
        .n = ARRAY_LEN(fields),
        .no_body = !(t->options & OPTION_UPLOAD),
        .is_head = t->options & OPTION_HEAD,
    };
    pool_init(&t->p, 1024);
    bufq_init(&t->upload);
    headers_init(&t->trailers, &t->p);
    REQUIRE(headers_add(&t->trailers, STR("x-t"), STR("1")) == 0);
    t->x = (h2_exchange){
        .pool = &t->p,
        .head_max = t->options & OPTION_SMALL_HEAD ? 128 : 32768,
        .upload = &t->upload,
        .upload_done = &t->upload_done,
        .upload_trailers = t->options & OPTION_TRAILERS ? &t->trailers : NULL,
    };
    t->upload_done = !(t->options & OPTION_ENDLESS);
    bufq_push_static(&t->upload, STR("0123456789"));
    t->got = t->sum = 0;
    t->begun++;
    int rc = h2_client_begin(t->session, &t->x, &q);
    t->open = rc == 0;
    note(t, "begin", rc, 0);
    if (rc < 0) {
        bufq_fini(&t->upload);
        pool_fini(&t->p);
    }
}

static void take(struct talk *t)
{
    bufq *in = &t->x.in;
    size_t n = in->bytes;
    char *bytes = malloc(n + 1);
    REQUIRE(bytes && bufq_peek(in, bytes, n) == n);
    for (size_t i = 0; i < n; i++) {
        t->sum = t->sum * 31 + (unsigned char)bytes[i];
    }
    free(bytes);
    bufq_drop(in, n);
    t->got += n;
    h2_client_took(t->session, n);
}

static void end(struct talk *t)
{
    const h2_exchange *x = &t->x;
    check_interim(t);
    REQUIRE(x->in.bytes <= H2_CLIENT_WINDOW);
    if (x->has_head) {
        check_head(t);
    }
    REQUIRE(!x->refused || (x->err && !x->has_head));
    REQUIRE(!x->ended || x->has_head);
    take(t);
    if (x->ended && !x->err && x->res.body == MSG_BODY_LENGTH) {
        REQUIRE(t->got == (uint64_t)x->res.length);
    }
    if (x->trailers.pool) {
        check_fields(&x->trailers);
    }
    note(t, x->ended ? "ended" : "open", x->err, x->refused);
    note(t, "head", x->has_head ? x->res.status : -1, x->has_head ? x->res.h.live : 0);
    if (!x->err) { /* how much of a body came before what is wrong with it is a matter of the pieces */
        note(t, "body", (long)t->got, (long)t->sum);
    }
    note(t, "more", x->ninterim, x->trailers.pool ? x->trailers.live : -1);
    h2_client_end(t->session);
    bufq_fini(&t->upload);
    pool_fini(&t->p);
    t->open = false;
}

/* What happens between two reads. < 0: the connection is broken. */
static int turn(struct talk *t)
{
    if (t->open && (t->x.ended || t->x.err)) {
        end(t);
    }
    if (t->open && !(t->options & OPTION_LAZY)) {
        take(t);
    }
    if (!t->open && t->begun < EXCHANGES_MAX && h2_client_is_usable(t->session)) {
        begin(t);
    }
    if (t->open && (t->options & OPTION_UPLOAD)) {
        if (t->options & OPTION_ENDLESS) {
            bufq_push_static(&t->upload, STR("more"));
        }
        h2_client_resume(t->session);
    }
    int rc;
    do {
        rc = h2_client_send(t->session, &t->out, 16384);
    } while (rc == ERR_AGAIN);
    return rc;
}

static size_t frame_size(str bytes)
{
    const unsigned char *h = (const unsigned char *)bytes.p;
    size_t n = bytes.n < FRAME_HEAD ? bytes.n : FRAME_HEAD + ((size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2]);
    return n < bytes.n ? n : bytes.n;
}

/* The head of a frame always in one piece: nghttp2 counts the pieces of a CONTINUATION's as if they were frames, and refuses the ninth. */
static int hear(struct talk *t, mem *m, str bytes, size_t step)
{
    int rc = 0;
    for (size_t at = 0, n = step > FRAME_HEAD ? step : FRAME_HEAD; rc == 0 && at < bytes.n; at += n, n = step) {
        n = n < bytes.n - at ? n : bytes.n - at;
        rc = h2_client_recv(t->session, m, str_of(bytes.p + at, n));
    }
    return rc;
}

/* The whole talk; frames arrive in pieces of `step` bytes. */
static void run(struct talk *t, unsigned options, mem *m, size_t size, size_t step)
{
    t->session = h2_client_new();
    REQUIRE(t->session);
    t->options = options;
    t->open = false;
    t->begun = 0;
    t->n = 0;
    bufq_init(&t->out);
    str rest = str_of(m->data, size);
    int rc = turn(t);
    while (rc == 0 && rest.n) {
        do {
            size_t n = step == SIZE_MAX && (options & OPTION_BATCH) ? rest.n : frame_size(rest);
            rc = hear(t, m, str_of(rest.p, n), step < n ? step : n);
            rest = str_from(rest, n);
        } while (rc == 0 && rest.n && (options & OPTION_BATCH));
        note(t, "heard", rc, h2_client_is_usable(t->session));
        rc = rc ? rc : turn(t);
    }
    if (t->open) {
        end(t);
    }
    note(t, "over", rc, 0); /* what was sent may differ: after a GOAWAY nghttp2 drops what comes with the next call unread */
    static const str preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};
    char begun[24];
    REQUIRE(t->out.bytes >= preface.n && bufq_peek(&t->out, begun, preface.n) == preface.n && memcmp(begun, preface.p, preface.n) == 0);
    support_check_frames(&t->out, preface.n);
    bufq_fini(&t->out);
    h2_client_free(t->session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk whole, cut;
    if (size < 2) {
        return 0;
    }
    clock_freeze(1000000, 1800000000000);
    mem *m = mem_try_new(size - 1);
    REQUIRE(m);
    memcpy(m->data, data + 1, size - 1);
    run(&whole, data[0], m, size - 1, SIZE_MAX);
    run(&cut, data[0], m, size - 1, size < 4096 ? 1 : 97);
    REQUIRE(whole.n == cut.n && memcmp(whole.log, cut.log, whole.n) == 0);
    REQUIRE(m->refs == 1);
    mem_unref(m);
    return 0;
}
