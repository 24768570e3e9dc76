/* connect.c — outgoing connections: the one-address path of pools (socket, connect, two calls) and the race over several addresses.
 *
 * The race follows RFC 8305 in its short form: families take turns, starting with the first candidate's; the next attempt starts 250 ms after the one before or
 * when that one failed; the first to connect wins and the others are closed. */
#include "net/connect.h"

#include "base/check.h"
#include "base/err.h"
#include "net/loop_impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { RACE_MAX = 16, RACE_STAGGER_MS = 250 };

struct attempt {
    stream s;
    job wake;
    struct connect *op;
};

struct connect {
    loop *l;
    job *user;
    timer deadline, stagger;
    job expired;      /* the timers' work */
    bool is_late;     /* the deadline passed */
    int err;          /* the last attempt's error */
    int winner;       /* index, -1: none yet */
    int n, started, running;
    bool has_bind;
    addr bind_to;
    addr to[RACE_MAX];
    struct attempt try[RACE_MAX];
};

static int prepare(int fd, int family, const addr *bind_to)
{
    int on = 1;
    if (family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (!bind_to || bind_to->len == 0) {
        return 0;
    }
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(bind_to, &ss);
    if (family != AF_UNIX && addr_port(bind_to) == 0) {
        /* The port is chosen at connect, when the peer is known: one local port serves many peers. */
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    }
    return bind(fd, (const struct sockaddr *)&ss, len) < 0 ? err_from_errno(errno) : 0;
}

int connect_start(stream *s, loop *l, const addr *to, const addr *bind_to, job *user)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, &ss);
    s->fd = -1;
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    int r = prepare(fd, ss.ss_family, bind_to);
    unsigned flags = 0;
    if (r == 0 && connect(fd, (const struct sockaddr *)&ss, len) < 0) {
        if (errno == EINPROGRESS) {
            flags = STREAM_CONNECTING;
        } else {
            r = errno == EAGAIN ? ERR_REFUSED : err_from_errno(errno); /* EAGAIN: a unix listener's backlog is full */
        }
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    return stream_open(s, l, fd, user, flags);
}

int connect_finish(stream *s)
{
    if (!(s->flags & STREAM_CONNECTING)) {
        return s->flags & STREAM_DEAD ? ERR_RESET : 0;
    }
    if (!(s->flags & (STREAM_WRITABLE | STREAM_HUP_HINT))) {
        return ERR_AGAIN;
    }
    int why = 0;
    socklen_t len = sizeof why;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0) {
        why = errno;
    }
    s->flags &= ~STREAM_CONNECTING;
    if (why) {
        s->flags |= STREAM_DEAD;
        return err_from_errno(why);
    }
    return 0;
}

static void tell(connect_op *c)
{
    timer_stop(&c->stagger);
    if (c->user) {
        job_wake(c->l, c->user);
    }
}

static bool is_over(const connect_op *c)
{
    return c->winner >= 0 || c->is_late || (c->running == 0 && c->started == c->n);
}

static void attempt_run(job *j);

/* Starts attempts until one is under way. */
static void start_next(connect_op *c)
{
    while (c->started < c->n) {
        struct attempt *a = &c->try[c->started];
        const addr *to = &c->to[c->started++];
        a->op = c;
        job_init(&a->wake, attempt_run);
        int r = connect_start(&a->s, c->l, to, c->has_bind ? &c->bind_to : NULL, &a->wake);
        if (r == 0) {
            c->running++;
            timer_set(c->l, &c->stagger, RACE_STAGGER_MS);
            if (!(a->s.flags & STREAM_CONNECTING)) {
                job_wake(c->l, &a->wake);
            }
            return;
        }
        c->err = r;
    }
}

static void attempt_run(job *j)
{
    struct attempt *a = container_of(j, struct attempt, wake);
    connect_op *c = a->op;
    int r = connect_finish(&a->s);
    if (r == ERR_AGAIN || is_over(c)) {
        return;
    }
    if (r == 0) {
        c->winner = (int)(a - c->try);
    } else {
        stream_close(&a->s);
        c->running--;
        c->err = r;
        start_next(c);
    }
    if (is_over(c)) {
        tell(c);
    }
}

static void timers_run(job *j)
{
    connect_op *c = container_of(j, connect_op, expired);
    if (is_over(c) && !c->is_late) {
        return; /* the result was there first */
    }
    if (!c->is_late) {
        start_next(c);
    }
    if (is_over(c)) {
        tell(c);
    }
}

static void on_deadline(timer *t)
{
    connect_op *c = container_of(t, connect_op, deadline);
    if (!is_over(c)) {
        c->is_late = true;
        job_wake(c->l, &c->expired);
    }
}

static void on_stagger(timer *t)
{
    connect_op *c = container_of(t, connect_op, stagger);
    job_wake(c->l, &c->expired);
}

/* Families take turns (RFC 8305 §4), each in the caller's order. */
static int interleave(const addr *v, int n, addr *out)
{
    int at[2] = {0, 0}, k = 0, turn = 0;
    int first = n > 0 ? v[0].sa.sa_family : 0;
    while (k < RACE_MAX && (at[0] < n || at[1] < n)) {
        int *i = &at[turn];
        while (*i < n && (v[*i].sa.sa_family == first) != (turn == 0)) {
            ++*i;
        }
        if (*i < n) {
            out[k++] = v[(*i)++];
        }
        turn = !turn;
    }
    return k;
}

connect_op *connect_race(loop *l, const struct connect_args *args)
{
    connect_op *c = calloc(1, sizeof *c);
    REQUIRE(c != NULL);
    c->l = l;
    c->user = args->user;
    c->winner = -1;
    c->err = ERR_UNREACHABLE;
    if (args->bind_to && args->bind_to->len) {
        c->has_bind = true;
        c->bind_to = *args->bind_to;
    }
    c->n = interleave(args->addrs, args->naddrs, c->to);
    for (int i = 0; i < RACE_MAX; i++) {
        c->try[i].s.fd = -1;
    }
    job_init(&c->expired, timers_run);
    timer_init(&c->deadline, on_deadline);
    timer_init(&c->stagger, on_stagger);
    timer_set(l, &c->deadline, args->timeout_ms);
    start_next(c);
    if (is_over(c)) {
        tell(c);
    }
    return c;
}

void connect_cancel(connect_op *c)
{
    if (!c) {
        return;
    }
    timer_stop(&c->deadline);
    timer_stop(&c->stagger);
    job_cancel(&c->expired);
    for (int i = 0; i < c->started; i++) {
        job_cancel(&c->try[i].wake);
        stream_close(&c->try[i].s);
    }
    free(c);
}

int connect_result(connect_op *c, stream *out)
{
    if (!is_over(c)) {
        return ERR_AGAIN;
    }
    int r = c->is_late ? ERR_TIMEOUT : c->err;
    if (c->winner >= 0) {
        stream_move(out, &c->try[c->winner].s);
        r = 0;
    }
    connect_cancel(c);
    return r;
}
