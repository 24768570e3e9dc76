/* h2_client.c — see h2_client.h. nghttp2 checks the protocol's rules (pseudo-header fields, connection-specific fields, Content-Length against DATA,
 * states); here heads become messages and flow control follows what the owner takes. */
#include "http/h2_client.h"

#include "base/err.h"
#include "base/mem.h"
#include "http/h2_budget.h"
#include "http/status.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

enum { TRAILERS_MAX = 16384, FIELDS_MAX = 1000, NV_MAX = 256, FIELD_COST = 32 };

struct h2_client {
    nghttp2_session *ng;
    h2_exchange *x;      /* NULL between exchanges */
    mem *chunk;          /* of the bytes that are taken now */
    msg cur;             /* the head that arrives */
    bool cur_bad, cur_trailers;
    bool is_head;
    bool goaway;         /* no more exchanges */
    bool calm;           /* past a budget */
    h2_budget budget;
};

static h2_exchange *exchange_of(const h2_client *s, int32_t id)
{
    return s->x && s->x->id == id ? s->x : NULL;
}

/* -- heads */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    (void)ng;
    h2_client *s = arg;
    h2_exchange *x = exchange_of(s, frame->hd.stream_id);
    if (!x) {
        return 0;
    }
    s->cur_trailers = x->has_head;
    s->cur_bad = false;
    x->head_bytes = 0;
    msg_init(&s->cur, x->pool);
    s->cur.version = HTTP_2;
    s->cur.length = -1;
    s->cur.keepalive = true;
    return 0;
}

static int take_status(h2_client *s, str v)
{
    uint64_t n;
    if (v.n != 3 || str_to_u64(v, &n) < 0 || n < 100) {
        return ERR_BAD_STATUS;
    }
    s->cur.status = (uint16_t)n;
    return 0;
}

static int add_field(h2_client *s, const h2_exchange *x, str name, str value)
{
    if (!headers_value_is_ok(value) || !headers_name_is_ok(name)) {
        return ERR_UPSTREAM_HEAD;
    }
    return headers_add(&s->cur.h, pool_dup(x->pool, name), pool_dup(x->pool, value));
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n, const uint8_t *value,
                     size_t value_n, uint8_t flags, void *arg)
{
    (void)ng;
    (void)flags;
    h2_client *s = arg;
    h2_exchange *x = exchange_of(s, frame->hd.stream_id);
    if (!x || s->cur_bad) {
        return 0;
    }
    str k = str_of((const char *)name, name_n), v = str_of((const char *)value, value_n);
    x->head_bytes += (uint32_t)(k.n + v.n + FIELD_COST);
    uint32_t max = s->cur_trailers ? TRAILERS_MAX : x->head_max;
    int rc = x->head_bytes > max || s->cur.h.n >= FIELDS_MAX ? ERR_UPSTREAM_HEAD : 0;
    if (rc == 0) {
        rc = str_eq(k, STR(":status")) ? take_status(s, v) : k.n && k.p[0] == ':' ? ERR_UPSTREAM_HEAD : add_field(s, x, k, v);
    }
    if (rc < 0) {
        s->cur_bad = true;
        x->err = rc == ERR_BAD_STATUS ? rc : ERR_UPSTREAM_HEAD;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    }
    return 0;
}

/* How long the body is, as far as the head says (RFC 9113 §8.1: DATA frames have the last word, and nghttp2 compares them). */
static int frame_body(const h2_client *s, msg *m, bool ended)
{
    const field *f = headers_find(&m->h, TOKEN_CONTENT_LENGTH);
    uint64_t n = 0;
    if (f && (str_to_u64(f->value, &n) < 0 || n > INT64_MAX || headers_next(&m->h, f))) {
        return ERR_UPSTREAM_HEAD;
    }
    if (s->is_head || status_has_no_body(m->status)) {
        m->body = MSG_BODY_NONE;
    } else if (f || ended) {
        m->body = MSG_BODY_LENGTH;
        m->length = (int64_t)n;
    } else {
        m->body = MSG_BODY_CHUNKED;
    }
    return 0;
}

static int take_interim(h2_client *s, h2_exchange *x)
{
    if (s->cur.status == 101 || x->ninterim == H2_CLIENT_INTERIM) {
        return ERR_UPSTREAM_PROTOCOL;
    }
    if (!x->interim) {
        x->interim = pool_alloc(x->pool, sizeof *x->interim * H2_CLIENT_INTERIM);
    }
    x->interim[x->ninterim++] = s->cur;
    return 0;
}

static int take_head(h2_client *s, h2_exchange *x, bool ended)
{
    if (s->cur_trailers) {
        x->trailers = s->cur.h;
        return 0;
    }
    if (s->cur.status < 200) {
        return take_interim(s, x);
    }
    int rc = frame_body(s, &s->cur, ended);
    x->res = s->cur;
    x->has_head = rc == 0;
    return rc;
}

/* -- frames */

static bool spend(h2_client *s, const nghttp2_frame *f)
{
    switch (f->hd.type) {
    case NGHTTP2_PING:
        return (f->hd.flags & NGHTTP2_FLAG_ACK) || h2_budget_spend(&s->budget, H2_COST_PING);
    case NGHTTP2_SETTINGS:
        return (f->hd.flags & NGHTTP2_FLAG_ACK) || h2_budget_spend(&s->budget, H2_COST_SETTINGS);
    case NGHTTP2_DATA:
        return f->hd.length || (f->hd.flags & NGHTTP2_FLAG_END_STREAM) || h2_budget_spend(&s->budget, H2_COST_EMPTY);
    default:
        return true;
    }
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    h2_client *s = arg;
    if (!spend(s, f)) {
        s->calm = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (f->hd.type == NGHTTP2_GOAWAY) {
        s->goaway = true;
        if (s->x && s->x->id && f->goaway.last_stream_id < s->x->id && !s->x->ended) {
            s->x->refused = !s->x->has_head;
            s->x->err = s->x->err ? s->x->err : ERR_UPSTREAM_CLOSED;
        }
        return 0;
    }
    h2_exchange *x = exchange_of(s, f->hd.stream_id);
    if (!x) {
        return 0;
    }
    bool ended = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (f->hd.type == NGHTTP2_HEADERS && !s->cur_bad) {
        int rc = take_head(s, x, ended);
        if (rc < 0) {
            x->err = rc;
            return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_PROTOCOL_ERROR) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
        }
    }
    if ((f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA) && ended && x->has_head && !x->err) {
        x->ended = true;
    }
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
    (void)flags;
    h2_client *s = arg;
    h2_exchange *x = exchange_of(s, id);
    if (!x || x->err) {
        return nghttp2_session_consume_connection(ng, n) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    }
    if (s->chunk) {
        bufq_push_mem(&x->in, s->chunk, (const char *)data, n);
    } else {
        bufq_push_copy(&x->in, str_of((const char *)data, n));
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    (void)ng;
    h2_client *s = arg;
    h2_exchange *x = exchange_of(s, id);
    if (!x || x->ended || x->err) {
        return 0;
    }
    x->refused = code == NGHTTP2_REFUSED_STREAM && !x->has_head;
    x->err = x->has_head ? ERR_UPSTREAM_CUT : code == NGHTTP2_PROTOCOL_ERROR ? ERR_UPSTREAM_PROTOCOL : x->refused ? ERR_UPSTREAM_CLOSED : ERR_UPSTREAM_REJECTED;
    return 0;
}

/* -- the request's body */

static ssize_t finish_upload(nghttp2_session *ng, const h2_exchange *x, uint32_t *flags)
{
    nghttp2_nv nv[NV_MAX];
    size_t n = 0;
    uint32_t at = 0;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    for (const field *f; x->upload_trailers && n < NV_MAX && (f = headers_each(x->upload_trailers, &at)) != NULL;) {
        nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)f->name.p, (uint8_t *)(uintptr_t)f->value.p, f->name.n, f->value.n, NGHTTP2_NV_FLAG_NONE};
    }
    if (n) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        return nghttp2_submit_trailer(ng, x->id, nv, n) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    }
    return 0;
}

static ssize_t read_upload(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t max, uint32_t *flags, nghttp2_data_source *src, void *arg)
{
    (void)src;
    h2_client *s = arg;
    h2_exchange *x = exchange_of(s, id);
    if (!x || x->err) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    size_t n = bufq_peek(x->upload, (char *)buf, max);
    bufq_drop(x->upload, n);
    if (bufq_is_empty(x->upload) && *x->upload_done) {
        ssize_t rc = finish_upload(ng, x, flags);
        return rc < 0 ? rc : (ssize_t)n;
    }
    return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

/* -- life */

static nghttp2_session_callbacks *callbacks(void)
{
    static nghttp2_session_callbacks *cb; /* the same for all sessions of the process */
    if (!cb && nghttp2_session_callbacks_new(&cb) == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    }
    return cb;
}

static nghttp2_option *options(void)
{
    static nghttp2_option *opt;
    if (!opt && nghttp2_option_new(&opt) == 0) {
        nghttp2_option_set_no_auto_window_update(opt, 1);
        nghttp2_option_set_max_outbound_ack(opt, 64);
    }
    return opt;
}

static int greet(h2_client *s)
{
    const nghttp2_settings_entry iv[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_CLIENT_WINDOW},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
    };
    int rc = nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, iv, ARRAY_LEN(iv));
    return rc ? rc : nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, H2_CLIENT_WINDOW);
}

h2_client *h2_client_new(void)
{
    h2_client *s = calloc(1, sizeof *s);
    if (!s || !callbacks() || nghttp2_session_client_new2(&s->ng, callbacks(), s, options()) != 0) {
        free(s);
        return NULL;
    }
    h2_budget_init(&s->budget, 1);
    if (greet(s) != 0) {
        h2_client_free(s);
        return NULL;
    }
    return s;
}

void h2_client_free(h2_client *s)
{
    if (s) {
        h2_client_end(s);
        nghttp2_session_del(s->ng);
        free(s);
    }
}

static nghttp2_nv pair(str k, str v)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)k.p, (uint8_t *)(uintptr_t)v.p, k.n, v.n, NGHTTP2_NV_FLAG_NONE};
}

/* nghttp2 wants lower case (RFC 9113 §8.2.1). */
static str lower(pool *p, str s)
{
    char *out = pool_alloc(p, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        out[i] = (char)str_lower_char((unsigned char)s.p[i]);
    }
    return str_of(out, s.n);
}

int h2_client_begin(h2_client *s, h2_exchange *x, const struct h2_client_request *q)
{
    if (!h2_client_is_usable(s) || q->n > HEADERS_MAX) {
        return ERR_LIMIT;
    }
    nghttp2_nv *nv = pool_alloc(x->pool, sizeof *nv * ((size_t)q->n + 4));
    size_t n = 0;
    nv[n++] = pair(STR(":method"), q->method);
    nv[n++] = pair(STR(":scheme"), q->scheme);
    nv[n++] = pair(STR(":authority"), q->authority);
    nv[n++] = pair(STR(":path"), q->path);
    for (int i = 0; i < q->n; i++) {
        nv[n++] = pair(lower(x->pool, q->v[i].name), q->v[i].value);
    }
    nghttp2_data_provider body = {.read_callback = read_upload};
    int32_t id = nghttp2_submit_request(s->ng, NULL, nv, n, q->no_body ? NULL : &body, NULL);
    if (id < 0) {
        return id == NGHTTP2_ERR_NOMEM ? ERR_MEM : ERR_LIMIT;
    }
    h2_budget_stream(&s->budget);
    bufq_init(&x->in);
    x->id = id;
    s->x = x;
    s->is_head = q->is_head;
    return 0;
}

void h2_client_end(h2_client *s)
{
    h2_exchange *x = s->x;
    if (!x) {
        return;
    }
    s->x = NULL;
    if (!x->ended && !x->err && nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, x->id, NGHTTP2_CANCEL) < 0) {
        s->goaway = true;
    }
    if (x->in.bytes && nghttp2_session_consume_connection(s->ng, x->in.bytes) < 0) {
        s->goaway = true; /* its window is out of step: not for another exchange */
    }
    bufq_fini(&x->in);
}

int h2_client_recv(h2_client *s, mem *m, str bytes)
{
    s->chunk = m;
    ssize_t n = nghttp2_session_mem_recv(s->ng, (const uint8_t *)bytes.p, bytes.n);
    s->chunk = NULL;
    if (n < 0 || (size_t)n != bytes.n) {
        s->goaway = true;
        return s->calm ? ERR_LIMIT : ERR_UPSTREAM_PROTOCOL;
    }
    return 0;
}

/* After an error of the connection nghttp2 says GOAWAY and reads on as if nothing came: the exchange ends here, whether the peer closes or not. */
static void notice_end(h2_client *s)
{
    h2_exchange *x = s->x;
    if (x && !x->ended && !x->err && !nghttp2_session_want_read(s->ng)) {
        x->err = x->has_head ? ERR_UPSTREAM_CUT : ERR_UPSTREAM_PROTOCOL;
        s->goaway = true;
    }
}

int h2_client_send(h2_client *s, bufq *out, size_t max)
{
    size_t begun = out->bytes;
    for (;;) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(s->ng, &data);
        if (n <= 0) {
            notice_end(s);
            return n == 0 ? 0 : ERR_UPSTREAM_PROTOCOL;
        }
        bufq_push_copy(out, str_of((const char *)data, (size_t)n));
        if (out->bytes - begun >= max) {
            return ERR_AGAIN;
        }
    }
}

void h2_client_resume(h2_client *s)
{
    if (s->x && s->x->id) {
        (void)nghttp2_session_resume_data(s->ng, s->x->id); /* an error says that nothing was deferred */
    }
}

void h2_client_took(h2_client *s, size_t n)
{
    if (s->x && nghttp2_session_consume(s->ng, s->x->id, n) < 0) {
        s->goaway = true;
    }
}

bool h2_client_is_usable(const h2_client *s)
{
    return !s->goaway && !s->x && nghttp2_session_check_request_allowed(s->ng);
}
