/* h2_session.c — a server session of HTTP/2 with a client that sends anything: bytes in, events, frames out, without a socket.
 *
 * Input: a byte of options, then what the client sends behind its preface. Properties: events are the same however the bytes were cut; a request
 * that is announced as good has well-formed fields and at most one framing field, and written as HTTP/1 it parses again; what goes out is a
 * sequence of whole frames; every stream that was opened is closed or still known at the end. */
#include "support.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/mem.h"
#include "base/slice.h"
#include "http/h2.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_CALM = 4, OPTION_WINDOW = 8, OPTION_EXPIRE = 16 /* a header block that is open in the middle of the input took too long */, STREAMS_MAX = 64, LOG_MAX = 1 << 20 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct talk;

/* One stream of a talk. */
struct side {
    struct talk *talk;
    int32_t id;
    pool p;
    msg m;
    bufq body;
    bool used, open, ended;
    uint64_t got, sum;
};

/* A session and what was heard of it. */
struct talk {
    h2 *session;
    struct side sides[STREAMS_MAX];
    int nsides;
    char *log;
    size_t n;
    bufq out;
};

static void note(struct talk *t, const char *what, int32_t id, long a, long b)
{
    if (t->n + 128 < LOG_MAX) {
        t->n += (size_t)snprintf(t->log + t->n, 128, "%s %d %ld %ld\n", what, (int)id, a, b);
    }
}

/* ---- events */

static msg *on_open(void *arg, int32_t id, void **stream)
{
    struct talk *t = arg;
    note(t, "open", id, 0, 0);
    if (t->nsides == STREAMS_MAX) {
        return NULL;
    }
    struct side *s = &t->sides[t->nsides++];
    *s = (struct side){.talk = t, .id = id, .used = true, .open = true};
    pool_init(&s->p, 1024);
    msg_init(&s->m, &s->p);
    bufq_init(&s->body);
    *stream = s;
    return &s->m;
}

static void check_good(const msg *m)
{
    uint32_t at = 0, framing = 0;
    for (const field *f; (f = headers_each(&m->h, &at)) != NULL;) {
        REQUIRE(headers_name_is_ok(f->name) && headers_value_is_ok(f->value));
        framing += f->token == TOKEN_CONTENT_LENGTH || f->token == TOKEN_TRANSFER_ENCODING;
        REQUIRE(f->token != TOKEN_CONNECTION && f->token != TOKEN_UPGRADE);
    }
    REQUIRE(framing <= 1 && m->method_name.n && (m->target.n || m->method == METHOD_CONNECT));
}

/* What an upstream would read is what was meant. */
static void check_as_h1(const msg *m)
{
    size_t cap = h1_write_size(&m->h) + m->target.n + 256;
    char *text = malloc(cap);
    fmt f = fmt_of(text, cap);
    h1_write_request_line(&f, m->method_name, m->target, 1);
    h1_write_fields(&f, &m->h);
    h1_write_framing(&f, m);
    fmt_put(&f, STR("\r\n"));
    pool p;
    pool_init(&p, 1024);
    msg again;
    msg_init(&again, &p);
    h1_limits lim = support_wide_limits();
    h1_scan scan = {0};
    int n = h1_parse_request(fmt_str(&f), &lim, &scan, &again);
    REQUIRE(!f.cut && (size_t)n == fmt_str(&f).n);
    REQUIRE(again.method == m->method && str_eq(again.target, m->target) && str_eq(again.host, m->host));
    REQUIRE(again.body == m->body && again.length == m->length);
    pool_fini(&p);
    free(text);
}

static void on_head(void *arg, void *stream, const h2_block *b, bool ended)
{
    struct side *s = stream;
    note(arg, "head", s->id, b->err, ended);
    s->ended = ended;
    if (b->err == 0) {
        check_good(b->m);
        if (b->m->method != METHOD_CONNECT) {
            check_as_h1(b->m);
        }
        note(arg, "request", s->id, b->m->h.live, b->m->body);
    }
}

static void on_data(void *arg, void *stream, str bytes)
{
    struct side *s = stream;
    (void)arg;
    s->got += bytes.n;
    for (size_t i = 0; i < bytes.n; i++) {
        s->sum = s->sum * 31 + (unsigned char)bytes.p[i];
    }
    h2_credit(s->talk->session, s->id, bytes.n);
}

static void on_end(void *arg, void *stream, const headers *trailers, int err)
{
    struct side *s = stream;
    s->ended = true;
    note(arg, "end", s->id, trailers ? trailers->live : -1, err);
}

static void on_sent(void *arg, void *stream)
{
    (void)arg;
    (void)stream;
}

static void on_close(void *arg, void *stream, uint32_t code)
{
    struct side *s = stream;
    REQUIRE(s->open);
    s->open = false;
    note(arg, "close", s->id, (long)code, (long)s->got);
    note(arg, "sum", s->id, (long)s->sum, 0);
}

static void pull(void *arg, void *stream, size_t max, struct h2_supply *supply)
{
    const struct side *s = stream;
    (void)arg;
    supply->n = s->body.bytes < max ? s->body.bytes : max;
    supply->last = supply->n == s->body.bytes;
}

static bufq *body_of(void *arg, void *stream)
{
    struct side *s = stream;
    (void)arg;
    return &s->body;
}

static void on_moved(void *arg, void *stream, size_t n)
{
    (void)arg;
    (void)stream;
    (void)n;
}

static const struct h2_events events = {on_open, on_head, on_data, on_end, on_sent, on_close, pull, body_of, on_moved};

/* ---- one talk */

static void start(struct talk *t, unsigned options)
{
    struct h2_options o = {
        .head = support_limits(options),
        .streams = 20,
        .window = options & OPTION_WINDOW ? 16 : 65536,
        .calm_on_excess = options & OPTION_CALM,
    };
    *t = (struct talk){.log = malloc(LOG_MAX)};
    bufq_init(&t->out);
    t->session = h2_new(&o, &events, t);
    REQUIRE(t->session && t->log);
}

static void answer(struct talk *t)
{
    for (int i = 0; i < t->nsides; i++) {
        struct side *s = &t->sides[i];
        msg m;
        msg_init(&m, &s->p);
        m.status = 200;
        m.body = MSG_BODY_CHUNKED;
        if (s->open && h2_submit_head(t->session, s->id, &m, false) == 0) {
            bufq_push_static(&s->body, STR("0123456789"));
        }
    }
}

static void finish(struct talk *t)
{
    answer(t);
    REQUIRE(h2_send(t->session, &t->out, SIZE_MAX) == 0);
    support_check_frames(&t->out, 0);
    bufq_fini(&t->out);
    h2_free(t->session);
    for (int i = 0; i < t->nsides; i++) {
        bufq_fini(&t->sides[i].body);
        pool_fini(&t->sides[i].p);
    }
}

static int feed(struct talk *t, str bytes, size_t step)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < bytes.n; at += step) {
        rc = h2_recv(t->session, str_of(bytes.p + at, step < bytes.n - at ? step : bytes.n - at));
    }
    return rc;
}

/* In pieces of `step` bytes. Heard up to here: answers come after. */
static size_t hear(struct talk *t, unsigned options, str bytes, size_t step)
{
    start(t, options);
    size_t half = options & OPTION_EXPIRE ? bytes.n / 2 : bytes.n;
    int rc = h2_recv(t->session, str_of(preface, sizeof preface - 1));
    rc = rc ? rc : feed(t, str_of(bytes.p, half), step);
    if (rc == 0 && half < bytes.n) {
        if (h2_is_in_head(t->session)) {
            h2_expire_head(t->session);
        }
        rc = h2_send(t->session, &t->out, SIZE_MAX);
        rc = rc ? rc : feed(t, str_from(bytes, half), step);
    }
    return t->n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk whole, cut;
    if (size < 2) {
        return 0;
    }
    clock_freeze(1000000, 1800000000000);
    str bytes = str_of((const char *)data + 1, size - 1);
    size_t a = hear(&whole, data[0], bytes, bytes.n);
    size_t b = hear(&cut, data[0], bytes, 1);
    /* A connection that is ended stops hearing at the piece that ended it. */
    size_t same = a < b ? a : b;
    REQUIRE(memcmp(whole.log, cut.log, same) == 0);
    finish(&whole);
    finish(&cut);
    free(whole.log);
    free(cut.log);
    return 0;
}
