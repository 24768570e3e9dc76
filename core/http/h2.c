/* h2.c — see h2.h. */
#include "http/h2.h"

#include "base/check.h"
#include "base/err.h"
#include "base/fmt.h"
#include "base/mem.h"
#include "http/h2_budget.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

enum {
    SEND_HEAD_MAX = 1 << 20,      /* of heads that we make; whoever gives us the fields bounds them */
    LONG_FRAME_MAX = 65536,       /* nghttp2 keeps a buffer as long as the longest frame */
    PRIORITY_SIZE = 5,            /* of a HEADERS frame that has them (RFC 9113 §6.2) */
    COPY_MAX = 4096,              /* smaller pieces of bodies are copied behind their frame header: one flat write */
    CONN_WINDOW = 4 * 1024 * 1024, /* of all request bodies together: bounds what a connection can make us hold */
    NV_STEP = 32,
    CONTINUATIONS_MAX = 64,
    EXCESS_FACTOR = 4,            /* a head this many times over its limit is not even decoded to the end */
    RECENT = 64,                  /* streams that we reset, remembered */
};

struct h2 {
    nghttp2_session *ng;
    const struct h2_events *e;
    void *arg;
    struct h2_options o;
    h2_budget budget;
    const char *excess;     /* the budget that was exceeded */
    bool over;              /* no more events: only what is queued goes out */
    uint32_t frame_max;     /* of DATA frames, whatever more the peer takes */
    uint32_t head_wire;     /* bytes of the block that is being received */
    bool in_head, trailing; /* a block is being decoded; it is one of trailers */
    int32_t head_id;        /* its stream */
    bool greeted, acked;    /* our SETTINGS are out; known to the client */
    bool begun;             /* the client's first frame came */
    size_t skip;            /* bytes until the next frame's header */
    uint8_t hd[H2_FRAME_HEAD], hd_n; /* of a header that comes in pieces */
    bool leaving;           /* we said GOAWAY: newer streams are ignored */
    int32_t last_id;        /* the newest stream the client opened */
    int32_t recent[RECENT]; /* a ring */
    uint32_t resets;        /* ever made */
    void *block_stream;     /* whose block it is; NULL: refused or unknown */
    h2_block block;
    msg late;               /* trailers */
    pool late_pool;
    bufq *out;              /* of the h2_send under way */
    size_t out_max;
    mem *flat;              /* frame headers, control frames and small bodies are written here */
    size_t flat_at;
    nghttp2_nv *nv;
    size_t nv_cap;
};

/* ---- output, flat */

static void put(h2 *s, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        if (!s->flat || s->flat_at == s->flat->cap) {
            mem_unref(s->flat);
            s->flat = mem_new(MEM_16K);
            s->flat_at = 0;
        }
        size_t room = s->flat->cap - s->flat_at;
        size_t k = n < room ? n : room;
        char *to = s->flat->data + s->flat_at;
        memcpy(to, p, k);
        bufq_push_mem(s->out, s->flat, to, k);
        s->flat_at += k;
        p += k;
        n -= k;
    }
}

/* The body's next n bytes, copied when they are few and in memory. */
static void put_body(h2 *s, bufq *q, size_t n)
{
    char small[COPY_MAX];
    if (n <= sizeof small && bufq_at(q, 0)->p && bufq_peek(q, small, n) == n) {
        put(s, small, n);
        bufq_drop(q, n);
    } else {
        (void)bufq_move_n(s->out, q, n);
    }
}

/* ---- budgets */

static void calm(h2 *s, const char *what)
{
    if (!s->over) {
        s->over = true;
        s->excess = what;
        nghttp2_session_terminate_session(s->ng, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static void spend(h2 *s, enum h2_cost what)
{
    if (!h2_budget_spend(&s->budget, what)) {
        calm(s, h2_budget_name(what));
    }
}

static void account(h2 *s, uint64_t total, uint64_t payload)
{
    if (!h2_budget_bytes(&s->budget, total, payload)) {
        calm(s, "bytes without payload");
    }
}

/* ---- what comes: header blocks */

static void begin_trailers(h2 *s)
{
    s->trailing = true;
    pool_init(&s->late_pool, 1024);
    msg_init(&s->late, &s->late_pool);
    h2_block_init(&s->block, &s->late, &s->o.head);
}

static void drop_trailers(h2 *s)
{
    if (s->in_head && s->trailing) { /* a block whose end never came */
        pool_fini(&s->late_pool);
    }
    s->in_head = s->trailing = false;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    h2 *s = arg;
    int32_t id = frame->hd.stream_id;
    if (s->over) {
        return 0;
    }
    drop_trailers(s);
    s->in_head = true;
    s->head_id = id;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        s->block_stream = nghttp2_session_get_stream_user_data(ng, id);
        begin_trailers(s);
        return 0;
    }
    s->block_stream = NULL;
    h2_budget_stream(&s->budget);
    msg *m = s->e->on_open(s->arg, id, &s->block_stream);
    if (!m) {
        s->block_stream = NULL;
        return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    }
    h2_block_init(&s->block, m, &s->o.head);
    return nghttp2_session_set_stream_user_data(ng, id, s->block_stream);
}

static str view(nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    return str_of((const char *)v.base, v.len);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
    h2 *s = arg;
    (void)ng;
    (void)frame;
    (void)flags;
    if (s->over) {
        return 0;
    }
    if (s->block_stream) {
        h2_block_add(&s->block, view(name), view(value), nghttp2_rcbuf_is_static(name) && nghttp2_rcbuf_is_static(value));
        bool excess = s->block.excess;
        if (excess && (s->o.calm_on_excess || s->block.size / EXCESS_FACTOR > s->o.head.head)) {
            calm(s, "header bytes");
        }
    }
    return 0;
}

static void end_trailers(h2 *s, bool ended)
{
    if (s->block_stream) {
        int rc = ended ? h2_block_trailers(&s->block) : ERR_BAD_TRAILER; /* RFC 9113 §8.1: trailers end the message */
        s->e->on_end(s->arg, s->block_stream, &s->late.h, rc);
    }
    pool_fini(&s->late_pool);
}

/* More body than the first window is for was announced before the client knew that window (RFC 9113 §6.9.2). */
static bool is_early(const h2 *s, bool ended)
{
    return !ended && !s->acked && s->o.window < NGHTTP2_INITIAL_WINDOW_SIZE;
}

static void end_head(h2 *s, const nghttp2_frame *frame)
{
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    s->in_head = false;
    s->block.wire = s->head_wire;
    account(s, 0, s->block.size);
    if (s->trailing) {
        end_trailers(s, ended);
        return;
    }
    if (!s->block_stream || s->over) {
        return;
    }
    if (is_early(s, ended)) {
        nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    if (h2_block_request(&s->block, ended) == ERR_HEAD_TOO_LARGE && s->block.excess && s->o.calm_on_excess) {
        calm(s, "header bytes");
        return;
    }
    s->e->on_head(s->arg, s->block_stream, &s->block, ended);
}

/* ---- what comes: the rest */

/* What the client sent before it could know of our reset is no mistake (RFC 9113 §5.1). */
static bool was_reset_by_us(const h2 *s, int32_t id)
{
    for (uint32_t i = 0; i < RECENT && i < s->resets; i++) {
        if (s->recent[i] == id) {
            return true;
        }
    }
    return false;
}

/* Frames on streams that are over: nghttp2 forgets them and ignores such frames (RFC 9113 §5.1, §5.1.1). */
static int judge_stream(h2 *s, uint8_t type, int32_t id)
{
    if (id > s->last_id) {
        s->last_id = type == NGHTTP2_HEADERS ? id : s->last_id;
        return 0;
    }
    if (id == 0 || id % 2 == 0 || s->leaving || nghttp2_session_find_stream(s->ng, id) || was_reset_by_us(s, id)) {
        return 0;
    }
    return nghttp2_session_terminate_session(s->ng, type == NGHTTP2_HEADERS ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
    h2 *s = arg;
    if (s->over) {
        return 0;
    }
    if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0) {
        return nghttp2_session_terminate_session(ng, NGHTTP2_PROTOCOL_ERROR); /* RFC 9113 §6.3; nghttp2 looks at none */
    }
    if (hd->type == NGHTTP2_PUSH_PROMISE) {
        return nghttp2_session_terminate_session(ng, NGHTTP2_PROTOCOL_ERROR); /* RFC 9113 §8.4: not from a client */
    }
    if (hd->type == NGHTTP2_CONTINUATION) {
        s->head_wire += (uint32_t)hd->length;
    }
    if (hd->type != NGHTTP2_HEADERS) {
        return 0;
    }
    s->head_wire = (uint32_t)hd->length - (hd->flags & NGHTTP2_FLAG_PRIORITY && hd->length >= PRIORITY_SIZE ? PRIORITY_SIZE : 0);
    return judge_stream(s, hd->type, hd->stream_id);
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
    h2 *s = arg;
    (void)flags;
    void *stream = s->over ? NULL : nghttp2_session_get_stream_user_data(ng, id);
    if (stream) {
        s->e->on_data(s->arg, stream, str_of((const char *)data, n));
    } else {
        nghttp2_session_consume_connection(ng, n);
    }
    return 0;
}

static void on_data_frame(h2 *s, const nghttp2_frame *frame)
{
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    void *stream = nghttp2_session_get_stream_user_data(s->ng, frame->hd.stream_id);
    if (ended && stream) {
        s->e->on_end(s->arg, stream, NULL, 0);
    } else if (!ended && frame->hd.length == 0) {
        spend(s, H2_COST_EMPTY);
    }
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    h2 *s = arg;
    (void)ng;
    bool is_ack = frame->hd.flags & NGHTTP2_FLAG_ACK;
    if (s->over) {
        return 0;
    }
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        end_head(s, frame);
        break;
    case NGHTTP2_DATA:
        on_data_frame(s, frame);
        break;
    case NGHTTP2_SETTINGS:
        s->acked = s->acked || is_ack;
        if (!is_ack) {
            spend(s, H2_COST_SETTINGS);
        }
        break;
    case NGHTTP2_PING:
        spend(s, H2_COST_PING);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        spend(s, H2_COST_WINDOW);
        break;
    case NGHTTP2_RST_STREAM:
        spend(s, H2_COST_RESET);
        break;
    default:
        break;
    }
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    h2 *s = arg;
    void *stream = nghttp2_session_get_stream_user_data(ng, id);
    if (stream) {
        if (stream == s->block_stream) {
            s->block_stream = NULL;
        }
        s->e->on_close(s->arg, stream, code);
    }
    return 0;
}

/* ---- what goes */

static void submit_trailers(h2 *s, int32_t id, const headers *h);

static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t max, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    h2 *s = arg;
    struct h2_supply supply = {0};
    (void)ng;
    (void)buf;
    s->e->pull(s->arg, source->ptr, max, &supply);
    if (supply.broken && !supply.n) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* reset, INTERNAL_ERROR */
    }
    if (!supply.n && !supply.last) {
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (supply.last) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (supply.trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(s, id, supply.trailers);
        }
    }
    return (ssize_t)supply.n;
}

/* The length of the next DATA frame at most; nghttp2 looks at the windows. */
static ssize_t frame_room(nghttp2_session *ng, uint8_t type, int32_t id, int32_t session_window, int32_t window, uint32_t peer_max, void *arg)
{
    const h2 *s = arg;
    (void)ng, (void)type, (void)id, (void)session_window, (void)window;
    return s->frame_max < peer_max ? s->frame_max : peer_max;
}

void h2_long_frames(h2 *s, uint32_t n)
{
    n = n < LONG_FRAME_MAX ? n : LONG_FRAME_MAX;
    s->frame_max = s->frame_max > n ? s->frame_max : n;
}

static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n, nghttp2_data_source *source, void *arg)
{
    h2 *s = arg;
    (void)ng;
    if (s->out->bytes >= s->out_max) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    (void)frame; /* no padding: nobody asks for it */
    put(s, head, H2_FRAME_HEAD);
    if (n) {
        put_body(s, s->e->body(s->arg, source->ptr), n);
        s->e->on_moved(s->arg, source->ptr, n);
    }
    h2_budget_data(&s->budget);
    account(s, H2_FRAME_HEAD + n, n);
    return 0;
}

/* Resets of ours that the peer provoked (CVE-2025-8671). */
static bool is_provoked(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}

static int on_frame_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    h2 *s = arg;
    bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        void *stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
        if (stream) {
            s->e->on_sent(s->arg, stream);
        }
    } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
        s->recent[s->resets++ % RECENT] = frame->hd.stream_id;
        if (is_provoked(frame->rst_stream.error_code)) {
            spend(s, H2_COST_RESET);
        }
    }
    return 0;
}

/* ---- heads out */

static bool nv_room(h2 *s, size_t n)
{
    if (n <= s->nv_cap) {
        return true;
    }
    nghttp2_nv *nv = realloc(s->nv, (n + NV_STEP) * sizeof *nv);
    if (nv) {
        s->nv = nv;
        s->nv_cap = n + NV_STEP;
    }
    return nv != NULL;
}

static nghttp2_nv pair(str name, str value, uint8_t flags)
{
    nghttp2_nv v = {.namelen = name.n, .valuelen = value.n, .flags = flags};
    memcpy(&v.name, &name.p, sizeof name.p);
    memcpy(&v.value, &value.p, sizeof value.p);
    return v;
}

/* RFC 9113 §8.2.2 */
static bool is_of_connection(enum token t)
{
    return t == TOKEN_CONNECTION || t == TOKEN_KEEP_ALIVE || t == TOKEN_PROXY_CONNECTION || t == TOKEN_TRANSFER_ENCODING || t == TOKEN_UPGRADE;
}

/* Fields as pairs from s->nv[at] on. */
static size_t add_fields(h2 *s, size_t at, const headers *h)
{
    for (uint32_t i = 0; i < h->n; i++) {
        const field *f = &h->v[i];
        if (f->name.n == 0 || (f->flags & FIELD_DROP) || is_of_connection((enum token)f->token)) {
            continue;
        }
        bool known = f->token != TOKEN_NONE;
        s->nv[at++] = pair(known ? token_name((enum token)f->token) : f->name, f->value, known ? NGHTTP2_NV_FLAG_NO_COPY_NAME : NGHTTP2_NV_FLAG_NONE);
    }
    return at;
}

static void submit_trailers(h2 *s, int32_t id, const headers *h)
{
    if (nv_room(s, h->n)) {
        (void)nghttp2_submit_trailer(s->ng, id, s->nv, add_fields(s, 0, h));
    }
}

struct head_text {
    char status[3], length[20];
};

static size_t make_head(h2 *s, const msg *m, struct head_text *text)
{
    unsigned status = m->status == 101 ? 200 : m->status; /* RFC 8441 §5 */
    text->status[0] = (char)('0' + status / 100 % 10);
    text->status[1] = (char)('0' + status / 10 % 10);
    text->status[2] = (char)('0' + status % 10);
    s->nv[0] = pair(STR(":status"), str_of(text->status, 3), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    size_t n = add_fields(s, 1, &m->h);
    if (m->body == MSG_BODY_LENGTH && !(headers_may_have(&m->h, TOKEN_CONTENT_LENGTH) && headers_find(&m->h, TOKEN_CONTENT_LENGTH))) {
        fmt f = fmt_of(text->length, sizeof text->length);
        fmt_u64(&f, (uint64_t)m->length);
        s->nv[n++] = pair(token_name(TOKEN_CONTENT_LENGTH), fmt_str(&f), NGHTTP2_NV_FLAG_NO_COPY_NAME);
    }
    return n;
}

int h2_submit_head(h2 *s, int32_t id, const msg *m, bool last)
{
    struct head_text text;
    if (!nv_room(s, (size_t)m->h.n + 2)) {
        return ERR_MEM;
    }
    size_t n = make_head(s, m, &text);
    nghttp2_data_provider body = {.source.ptr = nghttp2_session_get_stream_user_data(s->ng, id), .read_callback = on_read};
    int rc = nghttp2_submit_response(s->ng, id, s->nv, n, last ? NULL : &body);
    return rc == 0 ? 0 : ERR_CLIENT_GONE;
}

int h2_submit_info(h2 *s, int32_t id, const msg *m)
{
    struct head_text text;
    if (!nv_room(s, (size_t)m->h.n + 2)) {
        return ERR_MEM;
    }
    size_t n = make_head(s, m, &text);
    int rc = nghttp2_submit_headers(s->ng, NGHTTP2_FLAG_NONE, id, NULL, s->nv, n, NULL);
    return rc == 0 ? 0 : ERR_CLIENT_GONE;
}

/* ---- life */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb;
    REQUIRE(nghttp2_session_callbacks_new(&cb) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, frame_room);
    return cb;
}

/* Messages are judged by h2_block.c, so that a malformed one gets an answer and not only a reset (RFC 9113 §8.1.1). */
static nghttp2_option *make_option(void)
{
    nghttp2_option *o;
    REQUIRE(nghttp2_option_new(&o) == 0);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_http_messaging(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS_MAX);
    nghttp2_option_set_max_send_header_block_length(o, SEND_HEAD_MAX);
    return o;
}

static int greet(h2 *s)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, s->o.window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->o.head.head},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int rc = nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    return rc ? rc : nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW);
}

h2 *h2_new(const struct h2_options *o, const struct h2_events *e, void *arg)
{
    static nghttp2_session_callbacks *callbacks; /* the same for all, made once */
    static nghttp2_option *option;
    if (!callbacks) {
        callbacks = make_callbacks();
        option = make_option();
    }
    h2 *s = calloc(1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->frame_max = H2_FRAME_MAX;
    s->o = *o;
    s->e = e;
    s->arg = arg;
    s->skip = NGHTTP2_CLIENT_MAGIC_LEN;
    h2_budget_init(&s->budget, o->streams);
    if (nghttp2_session_server_new2(&s->ng, callbacks, s, option) != 0 || greet(s) != 0) {
        nghttp2_session_del(s->ng);
        free(s);
        return NULL;
    }
    return s;
}

void h2_free(h2 *s)
{
    drop_trailers(s);
    nghttp2_session_del(s->ng);
    mem_unref(s->flat);
    free(s->nv);
    free(s);
}

static int feed(h2 *s, str bytes)
{
    if (bytes.n && !s->over && nghttp2_session_mem_recv(s->ng, (const uint8_t *)bytes.p, bytes.n) < 0) {
        s->over = true;
    }
    return s->over ? ERR_INVALID : 0;
}

/* A frame's header is complete: what the frame costs, known or not. */
static bool is_data(h2 *s, int32_t *id)
{
    const uint8_t *h = s->hd;
    uint8_t type = h[3];
    s->hd_n = 0;
    s->skip = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
    *id = (int32_t)((uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8]);
    account(s, H2_FRAME_HEAD + s->skip, type == NGHTTP2_DATA ? s->skip : 0);
    if (type == NGHTTP2_CONTINUATION) {
        spend(s, H2_COST_CONTINUED);
    } else if (type == NGHTTP2_PRIORITY) {
        spend(s, H2_COST_PRIORITY);
    } else if (type > NGHTTP2_CONTINUATION) {
        spend(s, H2_COST_UNKNOWN);
    }
    return type == NGHTTP2_DATA;
}

/* The client's first frame; `before` is what came in front of its header and was not fed. RFC 9113 §3.4 wants SETTINGS. nginx does without, so in its dialect
 * a client that sends something else first is taken to have said SETTINGS with nothing in it. */
static int feed_first(h2 *s, str before)
{
    static const char none[H2_FRAME_HEAD] = {0, 0, 0, NGHTTP2_SETTINGS, 0, 0, 0, 0, 0};
    bool is_settings = s->hd[3] == NGHTTP2_SETTINGS && !(s->hd[4] & NGHTTP2_FLAG_ACK);
    s->begun = true;
    int rc = feed(s, before);
    if (rc == 0 && s->o.settings_may_lack && !is_settings) {
        rc = feed(s, str_of(none, sizeof none));
    }
    return rc < 0 ? rc : feed(s, str_of((const char *)s->hd, H2_FRAME_HEAD));
}

/* nghttp2 tells nobody of DATA that it ignores: so what comes is fed up to each DATA frame, whose stream is then looked at. */
static int feed_frames(h2 *s, str bytes)
{
    size_t at = 0, fed = 0, here = 0; /* here: bytes of the header under way that lie in `bytes` */
    while (at < bytes.n) {
        size_t left = bytes.n - at;
        if (s->skip) {
            size_t n = s->skip < left ? s->skip : left;
            s->skip -= n;
            at += n;
            continue;
        }
        s->hd[s->hd_n++] = (uint8_t)bytes.p[at++];
        here++;
        int32_t id;
        if (s->hd_n < H2_FRAME_HEAD) {
            continue;
        }
        if (UNLIKELY(!s->begun)) {
            if (feed_first(s, str_of(bytes.p + fed, at - here - fed)) < 0) {
                return ERR_INVALID;
            }
            fed = at;
        }
        here = 0;
        if (!is_data(s, &id)) {
            continue;
        }
        if (at - fed > H2_FRAME_HEAD) {
            size_t before = at - H2_FRAME_HEAD;
            if (feed(s, str_of(bytes.p + fed, before - fed)) < 0) {
                return ERR_INVALID;
            }
            fed = before;
        }
        if (judge_stream(s, NGHTTP2_DATA, id) != 0) {
            return ERR_MEM;
        }
    }
    size_t end = s->begun ? bytes.n : bytes.n - here; /* the first header is fed whole */
    return feed(s, str_of(bytes.p + fed, end - fed));
}

int h2_recv(h2 *s, str bytes)
{
    if (s->over) {
        return ERR_LIMIT;
    }
    int rc = feed_frames(s, bytes);
    if (rc < 0 && !s->excess) {
        s->over = true;
        return ERR_INVALID;
    }
    return s->over ? ERR_LIMIT : nghttp2_session_want_read(s->ng) ? 0 : ERR_INVALID;
}

/* Our SETTINGS, the first frame, with the number of streams as one entry more. nghttp2 is not told of that limit: it would end the connection of a client that
 * opens one stream too many, where refusing the stream is enough (RFC 9113 §5.1.2; on_open does). */
static void put_settings(h2 *s, const uint8_t *frame, size_t n)
{
    uint8_t head[H2_FRAME_HEAD];
    uint32_t v = s->o.streams;
    const uint8_t entry[] = {0, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    memcpy(head, frame, sizeof head);
    head[2] = (uint8_t)(head[2] + sizeof entry); /* five entries and one are far from 256 bytes */
    put(s, head, sizeof head);
    put(s, entry, sizeof entry);
    put(s, frame + sizeof head, n - sizeof head);
    s->greeted = true;
}

int h2_send(h2 *s, bufq *out, size_t max)
{
    s->out = out;
    s->out_max = max;
    for (;;) {
        if (out->bytes >= max) {
            return ERR_AGAIN;
        }
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(s->ng, &frame);
        if (n < 0) {
            return ERR_MEM;
        }
        if (n == 0) {
            return out->bytes >= max ? ERR_AGAIN : 0;
        }
        if (s->greeted) {
            put(s, frame, (size_t)n);
        } else {
            put_settings(s, frame, (size_t)n);
        }
        account(s, (uint64_t)n, (uint64_t)n > H2_FRAME_HEAD && frame[3] == NGHTTP2_HEADERS ? (uint64_t)n - H2_FRAME_HEAD : 0);
    }
}

bool h2_is_over(const h2 *s)
{
    return !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng);
}

const char *h2_excess(const h2 *s)
{
    return s->excess;
}

bool h2_is_in_head(const h2 *s)
{
    return s->in_head;
}

void h2_expire_head(h2 *s)
{
    h2_reset(s, s->head_id, H2_PROTOCOL_ERROR);
    drop_trailers(s);
    s->block_stream = NULL; /* what still comes of the block is decoded for the table's sake, and nobody hears of it */
}

void h2_resume(h2 *s, int32_t id)
{
    (void)nghttp2_session_resume_data(s->ng, id); /* not deferred: nothing to do */
}

void h2_reset(h2 *s, int32_t id, uint32_t code)
{
    (void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, id, code);
}

void h2_credit(h2 *s, int32_t id, size_t n)
{
    (void)nghttp2_session_consume(s->ng, id, n);
}

void h2_forget(h2 *s, size_t n)
{
    (void)nghttp2_session_consume_connection(s->ng, n);
}

void h2_widen(h2 *s, int32_t id, uint32_t n)
{
    (void)nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, id, (int32_t)n);
}

void h2_notice(h2 *s)
{
    (void)nghttp2_submit_shutdown_notice(s->ng);
}

void h2_goaway(h2 *s, uint32_t code)
{
    if (code != H2_NO_ERROR) {
        s->over = true;
        (void)nghttp2_session_terminate_session(s->ng, code);
        return;
    }
    s->leaving = true;
    (void)nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->ng), code, NULL, 0);
}

void h2_shrink(h2 *s)
{
    mem_unref(s->flat);
    s->flat = NULL;
}
