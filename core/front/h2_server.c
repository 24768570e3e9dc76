/* h2_server.c — see h2_server.h. */
#include "front/h2_server.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "front/h2_stream.h"
#include "shm/stats.h"

#include <stdlib.h>

enum {
    OUT_MAX = 128 * 1024,  /* frames made ahead of the socket: more, and neither frames are made nor bytes read */
    IN_MAX = 256 * 1024,
    READ_TURNS = 8,        /* one fast client must not hold the loop */
    STALL_TICK_MS = 1000,
    SEND_MS = 60000,
    FIRST_BYTES = 24 + 9,  /* the preface and an empty SETTINGS: before, the head's deadline runs */
};

void h2_server_dirty(h2_conn *h)
{
    job_wake_late(h->c->f->l, &h->late);
}

/* ---- events of the session */

static msg *on_open(void *arg, int32_t id, void **at)
{
    h2_conn *h = arg;
    if (h->ending || h->nstreams >= (uint32_t)conn_listen(h->c)->c->http2_streams) {
        return NULL;
    }
    h2_stream *st = h2_stream_open(h, id);
    *at = st;
    return st ? &st->r->in : NULL;
}

static void on_head(void *arg, void *at, const h2_block *b, bool ended)
{
    h2_conn *h = arg;
    h2_stream *st = at;
    st->err = b->err;
    st->malformed = b->err != 0 && b->err != ERR_HEAD_TOO_LARGE && b->err != ERR_URI_TOO_LONG && b->err != ERR_EXPECT;
    st->ended = ended;
    st->connect = b->websocket;
    st->r->received = b->wire;
    st->left = b->m->body == MSG_BODY_LENGTH ? b->m->length : -1;
    list_push_back(&h->ready, &st->work);
}

static void on_data(void *arg, void *at, str bytes)
{
    (void)arg;
    h2_stream_got(at, bytes);
}

static void on_end(void *arg, void *at, const headers *trailers, int err)
{
    (void)arg;
    h2_stream_got_end(at, trailers, err);
}

/* The client may still be sending what nobody wants (RFC 9113 §8.1); a malformed request is a stream error after its answer too. */
static void on_sent(void *arg, void *at)
{
    h2_conn *h = arg;
    const h2_stream *st = at;
    if (st->malformed || !st->ended) {
        h2_reset(h->session, st->id, st->malformed ? H2_PROTOCOL_ERROR : H2_NO_ERROR);
    }
}

static void on_close(void *arg, void *at, uint32_t code)
{
    (void)arg;
    if (code) {
        stats_add(STAT_H2_RESETS, 1);
    }
    h2_stream_close(at, ERR_CLIENT_GONE);
}

static void pull(void *arg, void *at, size_t max, struct h2_supply *s)
{
    (void)arg;
    h2_stream_supply(at, max, s);
}

static bufq *body(void *arg, void *at)
{
    (void)arg;
    h2_stream *st = at;
    return &st->out;
}

static void on_moved(void *arg, void *at, size_t n)
{
    (void)arg;
    (void)n;
    h2_stream_moved(at);
}

static const struct h2_events events = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_close = on_close,
    .pull = pull,
    .body = body,
    .on_moved = on_moved,
};

/* ---- the end of a connection */

static void abort_streams(h2_conn *h, int err)
{
    LIST_EACH_SAFE(it, &h->streams)
    {
        h2_stream_close(list_item(it, h2_stream, node), err);
    }
}

void h2_server_kill(conn *c, int err)
{
    h2_conn *h = c->h2;
    c->h2 = NULL;
    abort_streams(h, err);
    h2_free(h->session);
    job_cancel(&h->late);
    free(h);
}

static void kill_and_close(conn *c, int err)
{
    h2_server_kill(c, err);
    conn_close(c);
}

/* Everything that was to be said is said. */
static void leave(conn *c)
{
    h2_server_kill(c, ERR_CLIENT_GONE);
    conn_linger(c);
}

/* The session is at its end, by the client's fault or will: what it still has to say goes out (the late job), no request lives on. */
static void end_session(h2_conn *h)
{
    const char *excess = h2_excess(h->session);
    if (h->ending) {
        return;
    }
    h->ending = true;
    if (excess) {
        stats_add(STAT_H2_CALMED, 1);
        log_info("conn=%llx HTTP/2: more %s than anybody needs", (unsigned long long)h->c->id, excess);
    }
}

/* ---- deadlines */

static void earlier(int64_t *at, int64_t other)
{
    if (other && (!*at || other < *at)) {
        *at = other;
    }
}

static void arm(h2_conn *h)
{
    conn *c = h->c;
    int64_t at = 0, now = clock_ms();
    h->stall_at = list_is_empty(&h->pending) ? 0 : h->stall_at ? h->stall_at : now + STALL_TICK_MS;
    earlier(&at, h->idle_at);
    earlier(&at, h->head_at);
    earlier(&at, h->write_at);
    earlier(&at, h->stall_at);
    if (at) {
        timer_set(c->f->l, &c->timer, at > now ? at - now : 0);
    } else {
        timer_clear(&c->timer);
    }
}

/* Windows that do not open are as good as a client that does not read. */
static void reset_stalled(h2_conn *h, int64_t now)
{
    LIST_EACH_SAFE(it, &h->pending)
    {
        h2_stream *st = list_item(it, h2_stream, work);
        if (now - st->moved_ms >= st->send_ms) {
            req *r = st->r;
            st->r = NULL;
            list_remove(&st->work);
            bufq_clear(&st->out);
            st->broken = true;
            stats_add(STAT_H2_STALLED, 1);
            h2_reset(h->session, st->id, H2_CANCEL);
            if (r) {
                req_abort(r, ERR_CLIENT_TIMEOUT);
            }
        }
    }
    h->stall_at = 0;
    h2_server_dirty(h);
}

static void say_goodbye(h2_conn *h, uint32_t code)
{
    h->idle_at = h->head_at = 0;
    h->said_goaway = true;
    h2_goaway(h->session, code);
    h2_server_dirty(h);
}

void h2_server_timeout(conn *c)
{
    h2_conn *h = c->h2;
    int64_t now = clock_ms();
    if (h->write_at && now >= h->write_at) {
        kill_and_close(c, ERR_CLIENT_TIMEOUT);
        return;
    }
    if (h->head_at && now >= h->head_at) {
        h->head_at = 0;
        h2_expire_head(h->session);
        h2_server_dirty(h);
    } else if (h->idle_at && now >= h->idle_at) {
        say_goodbye(h, H2_NO_ERROR);
    } else if (h->stall_at && now >= h->stall_at) {
        reset_stalled(h, now);
    }
    arm(h);
}

/* ---- out */

static void go_idle(h2_conn *h)
{
    conn *c = h->c;
    if (!c->idle && c->s.bytes_in >= FIRST_BYTES) {
        conn_set_idle(c, true);
        h->idle_at = clock_ms() + (c->f->draining ? FRONT_IDLE_GRACE_MS : conn_listen(c)->c->idle_timeout);
    }
    stream_release_in(&c->s);
    bufq_shrink(&c->s.out);
    h2_shrink(h->session);
}

/* Requests on one connection are bounded; a listener that is gone from the configuration takes no more. */
static bool is_worn_out(const conn *c)
{
    return (int64_t)c->requests >= conn_listen(c)->c->keepalive_requests || c->fl->gone;
}

/* 0: all frames there are were made and written. */
static int write_out(h2_conn *h)
{
    conn *c = h->c;
    for (;;) {
        int made = h2_send(h->session, &c->s.out, OUT_MAX);
        if (made < 0 && made != ERR_AGAIN) {
            return made;
        }
        int rc = stream_queued(&c->s) ? stream_flush(&c->s) : 0;
        if (rc < 0 || made == 0) {
            return rc;
        }
    }
}

static void watch_progress(h2_conn *h)
{
    conn *c = h->c;
    if (!stream_queued(&c->s)) {
        h->write_at = 0;
    } else if (!h->write_at || h->flushed_at != c->s.bytes_out) {
        h->flushed_at = c->s.bytes_out;
        h->write_at = clock_ms() + h->send_ms;
    }
}

static void on_late(job *j)
{
    h2_conn *h = container_of(j, h2_conn, late);
    conn *c = h->c;
    if ((h->want_goaway || is_worn_out(c)) && !h->said_goaway && !h->ending) {
        say_goodbye(h, H2_NO_ERROR);
    }
    int rc = write_out(h);
    if (rc < 0 && rc != ERR_AGAIN) {
        kill_and_close(c, ERR_CLIENT_GONE);
        return;
    }
    if (h2_excess(h->session)) {
        end_session(h);
    }
    if ((h->ending || h2_is_over(h->session)) && rc == 0) {
        leave(c);
        return;
    }
    if (h->read_paused && stream_queued(&c->s) < OUT_MAX) {
        h->read_paused = false;
        job_wake(c->f->l, &c->job);
    }
    watch_progress(h);
    if (h->nstreams == 0 && rc == 0) {
        go_idle(h);
    }
    arm(h);
}

/* ---- in */

static void start_ready(h2_conn *h)
{
    while (!list_is_empty(&h->ready)) {
        h2_stream *st = list_item(h->ready.next, h2_stream, work);
        list_remove(&st->work);
        conn_set_idle(h->c, false);
        h->idle_at = 0;
        h2_stream_start(st);
    }
}

static void watch_head(h2_conn *h)
{
    if (!h2_is_in_head(h->session)) {
        h->head_at = 0;
    } else if (!h->head_at) {
        h->head_at = clock_ms() + conn_listen(h->c)->c->header_timeout;
        h->idle_at = 0; /* it says something */
        conn_set_idle(h->c, false);
    }
}

static int feed(h2_conn *h)
{
    conn *c = h->c;
    int rc = h2_recv(h->session, stream_in(&c->s));
    stream_consume(&c->s, stream_in(&c->s).n);
    if (rc < 0) {
        end_session(h);
    } else {
        start_ready(h);
    }
    watch_head(h);
    return rc;
}

/* 0 everything was read, or others first; ERR_EOF and others: the client is gone. */
static int read_in(h2_conn *h)
{
    conn *c = h->c;
    for (int turn = 0; turn < READ_TURNS; turn++) {
        if (stream_in(&c->s).n && feed(h) < 0) {
            return 0;
        }
        if (stream_queued(&c->s) >= OUT_MAX) {
            h->read_paused = true;
            return 0;
        }
        ssize_t n = stream_fill(&c->s, IN_MAX);
        if (n < 0) {
            return n == ERR_AGAIN ? 0 : (int)n;
        }
    }
    job_wake(c->f->l, &c->job);
    return 0;
}

void h2_server_run(conn *c)
{
    h2_conn *h = c->h2;
    int rc = h->ending ? 0 : read_in(h);
    if (rc < 0) {
        kill_and_close(c, ERR_CLIENT_GONE);
        return;
    }
    h2_server_dirty(h);
}

/* ---- begin */

static struct h2_options options_of(const conn *c)
{
    const struct conf_listen *l = conn_listen(c)->c;
    return (struct h2_options){
        .head = conn_head_limits(c),
        .streams = (uint32_t)l->http2_streams,
        .window = (uint32_t)l->http2_window,
        .settings_may_lack = c->fl->plan->conf->g.manners == CONF_MANNERS_NGINX,
        .calm_on_excess = l->http2_excess == CONF_HTTP2_EXCESS_GOAWAY,
    };
}

void h2_server_start(conn *c)
{
    h2_conn *h = calloc(1, sizeof *h);
    struct h2_options o = options_of(c);
    h2 *session = h ? h2_new(&o, &events, h) : NULL;
    if (!session) {
        free(h);
        conn_close(c);
        return;
    }
    h->c = c;
    h->session = session;
    list_init(&h->streams);
    list_init(&h->ready);
    list_init(&h->pending);
    job_init(&h->late, on_late);
    h->send_ms = SEND_MS;
    h->idle_at = clock_ms() + conn_listen(c)->c->header_timeout;
    c->h2 = h;
    stats_add(STAT_H2_CONNS, 1);
    conn_enter(c, CONN_H2);
    h2_server_run(c);
}

void h2_server_drain(conn *c, bool last)
{
    h2_conn *h = c->h2;
    h->want_goaway = h->want_goaway || last;
    if (!last && !h->noticed) {
        h->noticed = true;
        h2_notice(h->session);
    }
    h2_server_dirty(h);
}
