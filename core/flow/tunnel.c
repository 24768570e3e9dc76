/* tunnel.c — see tunnel.h. Both directions run in the request's job; each is bounded by the receiver's queue. */
#include "flow/tunnel.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "net/stream.h"
#include "shm/stats.h"

enum { TUNNEL_QUEUED_MAX = 128 * 1024, TUNNEL_TURNS = 16, HALF_CLOSED_MS = 5000 };
enum { UP_ENDED = 1, DOWN_ENDED = 2 };

struct tunnel {
    stream *client, *up;
    uint64_t down;    /* bytes to the client */
    uint64_t moved;   /* bytes, both ways: progress for the idle time */
    unsigned ended;   /* *_ENDED: that direction is over and its receiver was told */
};

static uint32_t open_tunnels;

static void on_fini(void *arg)
{
    (void)arg;
    open_tunnels--;
    stats_sub(STAT_TUNNELS_ACTIVE, 1);
}

static struct tunnel *tunnel_new(req *r)
{
    struct tunnel *t = pool_zalloc(&r->pool, sizeof *t);
    t->client = r->proto->hijack(r);
    t->up = fetch_stream(&r->fetch);
    open_tunnels++;
    stats_add(STAT_TUNNELS_ACTIVE, 1);
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
            t->down += to == t->client ? stream_in(from).n : 0;
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
        if (n == ERR_EOF || n == ERR_TLS_EOF) {
            return stream_queued(to) ? 0 : ERR_EOF;
        }
        if (n < 0) {
            return (int)n;
        }
    }
    return 1; /* more may be there: come again */
}

/* One direction; the end of its sender is passed on as ours, so that what still comes the other way arrives. 1 come again, 0 wait, < 0 broken. */
static int run_direction(struct tunnel *t, unsigned which, stream *from, stream *to)
{
    if (!(t->ended & which)) {
        int rc = move(t, from, to);
        if (rc != ERR_EOF) {
            return rc;
        }
        t->ended |= which;
    }
    int rc = stream_shut(to);
    return rc == ERR_AGAIN ? 0 : rc;
}

int tunnel_step(req *r)
{
    if (!r->tunnel) {
        r->tunnel = tunnel_new(r); /* the 101 is queued and goes out with the first bytes, or now */
        timer_clear(&r->total);
    }
    struct tunnel *t = r->tunnel;
    r->close = true;
    if (r->timed_out) {
        return STEP_NEXT;
    }
    int up = run_direction(t, UP_ENDED, t->client, t->up);
    int down = run_direction(t, DOWN_ENDED, t->up, t->client);
    r->sent_body = t->down;
    if (up < 0 || down < 0 || t->ended == (UP_ENDED | DOWN_ENDED)) {
        return STEP_NEXT;
    }
    if (up > 0 || down > 0) {
        req_wake(r);
    }
    int64_t idle = r->route->c->tunnel_idle;
    if (t->ended && idle > HALF_CLOSED_MS) {
        idle = HALF_CLOSED_MS;
    }
    return req_wait_here(r, REQ_WAIT_TUNNEL, idle, t->moved * 4 + t->ended + 1);
}

uint32_t tunnel_count(void)
{
    return open_tunnels;
}
