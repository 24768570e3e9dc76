/* tunnel.c — see tunnel.h. Both directions run in the request's job; each is bounded by the receiver's queue. */
#include "flow/tunnel.h"

#include "base/err.h"
#include "flow/steps.h"

enum { TUNNEL_QUEUED_MAX = 128 * 1024, TUNNEL_TURNS = 16 };

struct tunnel {
    stream *client, *up;
    uint64_t moved;   /* bytes, both ways: progress for the idle time */
    bool over;
};

static uint32_t open_tunnels;

static void on_fini(void *arg)
{
    (void)arg;
    open_tunnels--;
}

static struct tunnel *tunnel_new(req *r)
{
    struct tunnel *t = pool_zalloc(&r->pool, sizeof *t);
    t->client = r->proto->hijack(r);
    t->up = fetch_stream(&r->fetch);
    open_tunnels++;
    pool_on_fini(&r->pool, on_fini, NULL);
    r->fetch.want_close = true;
    return t;
}

/* from → to until nothing more can move. 0 blocked or drained, ERR_EOF `from` ended and everything of it is out, < 0 broken. */
static int move(struct tunnel *t, stream *from, stream *to)
{
    for (int turn = 0; turn < TUNNEL_TURNS; turn++) {
        if (stream_in(from).n) {
            bufq q;
            bufq_init(&q);
            t->moved += stream_in(from).n;
            stream_take(from, &q, stream_in(from).n);
            stream_push(to, &q);
            bufq_fini(&q);
        }
        int rc = stream_queued(to) ? stream_flush(to) : 0;
        if (rc < 0 && rc != ERR_AGAIN) {
            return rc;
        }
        if (stream_queued(to) >= TUNNEL_QUEUED_MAX) {
            return 0;
        }
        ssize_t n = stream_fill(from, TUNNEL_QUEUED_MAX);
        if (n == ERR_AGAIN) {
            return 0;
        }
        if (n < 0) {
            return stream_queued(to) == 0 || n != ERR_EOF ? (int)n : 0;
        }
    }
    return 1; /* more may be there: come again */
}

int tunnel_step(req *r)
{
    if (!r->tunnel) {
        r->tunnel = tunnel_new(r);
        if (r->proto->flush(r) < 0) {
            /* the 101 goes out with the first bytes */
        }
    }
    struct tunnel *t = r->tunnel;
    if (r->timed_out) {
        r->close = true;
        return STEP_NEXT;
    }
    int up = move(t, t->client, t->up);
    int down = move(t, t->up, t->client);
    if (up < 0 || down < 0) {
        r->close = true;
        return STEP_NEXT;
    }
    r->sent_body = t->moved;
    if (up > 0 || down > 0) {
        req_wake(r);
    }
    return req_wait_here(r, REQ_WAIT_TUNNEL, r->route->c->tunnel_idle, t->moved + 1);
}

uint32_t tunnel_count(void)
{
    return open_tunnels;
}
