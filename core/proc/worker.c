/* worker.c — see worker.h. Messages of the master are handled in event callbacks, so a flip happens
 * between two events and never inside a request. */
#include "proc/worker.h"

#include "back/group.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"
#include "flow/log_file.h"
#include "flow/req.h"
#include "front/front.h"
#include "net/resolve.h"
#include "net/signal.h"
#include "net/timer.h"
#include "proc/channel.h"
#include "proc/generation.h"
#include "proc/report.h"
#include "shm/seg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKER_TEXT_MAX = 8192, WORKER_FINISH_MS = 5, WORKER_FINISH_TRIES = 200 };

typedef struct worker {
    struct worker_args args;
    loop *l;
    channel *channel;
    front *front;
    resolver *resolver;
    group_set *groups;
    board_slot *slot;
    generation *current, *warm, *prepared;
    bool draining;
    timer finish;
    int finish_tries;
} worker;

static void worker_say(worker *w, enum channel_type type, uint64_t number, const char *text)
{
    channel_msg m = {type, -1, number, 0, str_c(text ? text : "")};
    if (w->channel && channel_send(w->channel, &m) < 0) {
        log_warn("cannot tell the master: %s of generation %llu", channel_type_name(type),
                 (unsigned long long)number);
    }
}

/* The last connections are gone; requests that were cut with them still have to be logged. */
static void worker_finish(worker *w)
{
    if (req_count() == 0 || w->finish_tries++ == WORKER_FINISH_TRIES) {
        loop_stop(w->l);
    } else {
        timer_set(w->l, &w->finish, WORKER_FINISH_MS);
    }
}

static void worker_on_finish(timer *t)
{
    worker_finish(container_of(t, worker, finish));
}

static void worker_on_drained(void *arg)
{
    worker_finish(arg);
}

static void worker_drain(worker *w, int64_t grace_ms)
{
    if (!w->draining) {
        w->draining = true;
        board_set_state(w->slot, BOARD_DRAINING);
        log_info("worker draining, at most %lld ms", (long long)grace_ms);
    }
    front_drain(w->front, grace_ms, worker_on_drained, w);
    /* While any process has them open the kernel goes on queueing connections that nobody would
     * accept. */
    ports_fini(w->args.ports, false);
}

/* The descriptors of a configuration's listeners, in its order. False when one is missing. */
static bool worker_collect_ports(worker *w, const conf *c, int *fds, str *addresses)
{
    for (int i = 0; i < c->g.listens.n; i++) {
        addresses[i] = c->g.listens.v[i].address;
    }
    for (int i = 0; i < c->g.listens.n; i++) {
        char key[256];
        if (c->g.listens.v[i].under >= 0) {
            fds[i] = -1;
            continue;
        }
        ports_key(addresses, i, key, sizeof key);
        port *one = ports_find(w->args.ports, key);
        if (!one) {
            return false;
        }
        fds[i] = one->fd;
    }
    return true;
}

static int worker_dup_log(const worker *w, const char *path)
{
    int fd = logs_find(w->args.logs, path);
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Gives the master's descriptors of access logs to those who will open, or have open, the paths. */
static void worker_use_access_logs(worker *w, const conf *c)
{
    for (int i = 0; i < c->g.logs.n; i++) {
        int fd = worker_dup_log(w, c->g.logs.v[i].path.p);
        if (fd >= 0) {
            log_file_adopt(c->g.logs.v[i].path.p, fd);
        }
    }
}

/* The process' and the routes' error logs. What only older generations wrote to is closed in the table; they go on with what they have open. */
static void worker_use_logs(worker *w, const generation *g, bool keep)
{
    summary sum;
    if (summary_read(g->bundle, &sum) == 0) {
        logs_use_errors(w->args.logs, &sum, w->args.error_log);
        if (keep) {
            logs_keep_of(w->args.logs, &sum, w->args.error_log);
        }
    }
    summary_fini(&sum);
}

/* Puts a generation in force. On failure the worker is in an unknown mixture: the master replaces
 * it. */
static int worker_enforce(worker *w, generation *g, char *err, size_t errcap)
{
    const struct conf_gateway *gw = &g->conf->g;
    size_t n = (size_t)gw->listens.n + 1;
    int *fds = calloc(n, sizeof *fds);
    str *addresses = calloc(n, sizeof *addresses);
    REQUIRE(fds && addresses);
    int rc = ERR_CONF;
    snprintf(err, errcap, "a listening socket is missing");
    if (worker_collect_ports(w, g->conf, fds, addresses)) {
        worker_use_access_logs(w, g->conf);
        rc = generation_commit(g, w->groups, err, errcap);
        rc = rc < 0 ? rc : front_commit(w->front, g->plan, fds);
    }
    if (rc == 0) {
        front_set_limits(w->front, (uint32_t)gw->max_connections,
                         (uint32_t)gw->max_connections_per_address);
        ports_keep(w->args.ports, addresses, gw->listens.n, false);
        worker_use_logs(w, g, true);
    }
    free(fds);
    free(addresses);
    return rc;
}

static void worker_prepare(worker *w, const channel_msg *m)
{
    char err[WORKER_TEXT_MAX];
    if (w->warm && w->warm->number == m->generation) {
        close(m->fd); /* a way back: still here */
        worker_say(w, CHANNEL_READY, m->generation, NULL);
        return;
    }
    generation_release(w->prepared);
    w->prepared = NULL;
    bundle *b = bundle_open(m->fd, err, sizeof err);
    if (b) {
        w->prepared = generation_new(w->l, w->args.recipe, b, m->generation, err, sizeof err);
        bundle_unref(b);
    }
    worker_say(w, w->prepared ? CHANNEL_READY : CHANNEL_FAILED, m->generation,
               w->prepared ? NULL : err);
}

/* What began under a configuration that is not in force any more may go on for so long. */
struct worker_patience {
    timer timer;
    worker *w;
    uint64_t mark;
};

static void worker_on_impatience(timer *t)
{
    struct worker_patience *p = container_of(t, struct worker_patience, timer);
    front_cut_older(p->w->front, p->mark);
    free(p);
}

static void worker_limit_older(worker *w, int64_t ms)
{
    if (ms <= 0) {
        return;
    }
    struct worker_patience *p = calloc(1, sizeof *p);
    REQUIRE(p);
    p->w = w;
    p->mark = front_mark(w->front);
    timer_init(&p->timer, worker_on_impatience);
    timer_set(w->l, &p->timer, ms);
}

static void worker_commit(worker *w, uint64_t number)
{
    char err[WORKER_TEXT_MAX];
    bool back = w->warm && w->warm->number == number;
    generation *next = back ? w->warm : w->prepared;
    if (!next || next->number != number) {
        worker_say(w, CHANNEL_FAILED, number, "it was not prepared");
        return;
    }
    if (worker_enforce(w, next, err, sizeof err) < 0) {
        worker_say(w, CHANNEL_FAILED, number, err);
        return;
    }
    generation *old = w->current;
    worker_limit_older(w, old->conf->g.generation_timeout);
    w->current = next;
    if (back) {
        w->warm = NULL;
        generation_release(old);
    } else {
        w->prepared = NULL;
        generation_release(w->warm);
        w->warm = old;
    }
    w->slot->generation = number;
    worker_say(w, CHANNEL_DONE, number, NULL);
}

static void worker_discard(worker *w, uint64_t number)
{
    if (w->prepared && w->prepared->number == number) {
        generation_release(w->prepared);
        w->prepared = NULL;
    }
    /* sockets and logs that came with it */
    const conf *c = w->current->conf;
    str *addresses = calloc((size_t)c->g.listens.n + 1, sizeof *addresses);
    REQUIRE(addresses);
    for (int i = 0; i < c->g.listens.n; i++) {
        addresses[i] = c->g.listens.v[i].address;
    }
    ports_keep(w->args.ports, addresses, c->g.listens.n, false);
    worker_use_logs(w, w->current, true);
    free(addresses);
}

static void worker_adopt_segment(const channel_msg *m)
{
    seg *s;
    if (seg_adopt(m->text, m->fd, (size_t)m->arg, &s) < 0) {
        log_alert("segment %.*s cannot be mapped", STR_ARG(m->text));
    }
}

static void worker_status(worker *w, int64_t ticket)
{
    struct report_worker r = {w->current, w->warm, w->prepared, w->groups, w->front};
    int fd = report_write(&r);
    channel_msg m = {CHANNEL_STATUS, fd, 0, ticket, STR_EMPTY};
    if (fd < 0 || channel_send(w->channel, &m) < 0) {
        log_warn("cannot report status");
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* "up UPSTREAM SERVER" */
static void worker_bring_up(worker *w, str event)
{
    str verb, upstream, server;
    char name[CHANGE_TEXT_MAX + 1];
    if (str_split(&event, ' ', &verb) && str_split(&event, ' ', &upstream) && str_split(&event, ' ', &server) &&
        server.n < sizeof name) {
        snprintf(name, sizeof name, "%.*s", STR_ARG(server));
        group_bring_up(w->groups, upstream, name, clock_ms());
    }
}

static void worker_change_upstreams(worker *w, const channel_msg *m)
{
    char err[256];
    struct stat st;
    changes c;
    void *text = m->fd >= 0 && fstat(m->fd, &st) == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, m->fd, 0) : MAP_FAILED;
    if (text == MAP_FAILED || !w->groups || changes_parse(str_of(text, (size_t)st.st_size), &c, err, sizeof err) < 0) {
        log_alert("what changed in upstreams cannot be read");
    } else {
        group_set_change(w->groups, &c);
        worker_bring_up(w, m->text);
    }
    if (text != MAP_FAILED) {
        munmap(text, (size_t)st.st_size);
    }
    channel_msg done = {CHANNEL_UPSTREAMS, -1, 0, m->arg, STR_EMPTY};
    if (channel_send(w->channel, &done) < 0) {
        log_warn("cannot tell the master: upstreams changed");
    }
}

static void worker_adopt_log(worker *w, const channel_msg *m)
{
    logs_adopt(w->args.logs, m->text, m->fd);
    if (w->current) { /* a rotation: what is open goes on in the new file */
        worker_use_access_logs(w, w->current->conf);
        worker_use_logs(w, w->current, false);
    }
}

static void worker_on_msg(void *arg, const channel_msg *m)
{
    worker *w = arg;
    bool takes_fd = false;
    switch (m->type) {
    case CHANNEL_LISTENER:
        ports_adopt(w->args.ports, m->text, m->fd);
        takes_fd = true;
        break;
    case CHANNEL_SEGMENT:
        worker_adopt_segment(m);
        takes_fd = true;
        break;
    case CHANNEL_PREPARE:
        worker_prepare(w, m);
        takes_fd = true;
        break;
    case CHANNEL_COMMIT:
        worker_commit(w, m->generation);
        break;
    case CHANNEL_DISCARD:
        worker_discard(w, m->generation);
        break;
    case CHANNEL_SETTLE:
        generation_release(w->warm);
        w->warm = NULL;
        break;
    case CHANNEL_QUIT:
        worker_drain(w, m->arg);
        break;
    case CHANNEL_LOG:
        worker_adopt_log(w, m);
        takes_fd = true;
        break;
    case CHANNEL_STATUS:
        worker_status(w, m->arg);
        break;
    case CHANNEL_UPSTREAMS:
        worker_change_upstreams(w, m);
        break;
    case CHANNEL_READY:
    case CHANNEL_DONE:
    case CHANNEL_FAILED:
    case CHANNEL_TYPES:
        break;
    }
    if (!takes_fd && m->fd >= 0) {
        close(m->fd);
    }
}

static void worker_on_master_gone(void *arg)
{
    worker *w = arg;
    log_alert("the master has died: draining");
    channel_close(w->channel);
    w->channel = NULL;
    worker_drain(w, w->args.shutdown_ms);
}

static void worker_on_signal(int signum, void *arg)
{
    worker *w = arg;
    if (signum == SIGTERM) {
        loop_stop(w->l);
    } else if (signum == SIGQUIT) {
        worker_drain(w, w->args.shutdown_ms);
    }
}

static void worker_on_idle(void *arg)
{
    worker *w = arg;
    struct front_counts n;
    front_count(w->front, &n);
    board_update(w->slot, w->current ? w->current->number : 0, stats_mine->cells[STAT_REQUESTS],
                 n.connections);
}

static void worker_signals(worker *w)
{
    /* A ^C at the terminal reaches the whole group, and HUP when it hangs up: the master decides
     * what they mean. */
    const int ignored[] = {SIGHUP, SIGINT, SIGPIPE, SIGUSR1, SIGUSR2, SIGWINCH};
    const int watched[] = {SIGTERM, SIGQUIT};
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++) {
        signal(ignored[i], SIG_IGN);
    }
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        REQUIRE(signal_start(w->l, watched[i], worker_on_signal, w));
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int worker_engine(worker *w, const struct conf_gateway *g)
{
    struct resolver_args rargs = {.servers = g->resolver.p, .ipv4 = true, .ipv6 = true};
    struct front_args fargs = {w->l, (uint32_t)g->max_connections,
                               (uint32_t)g->max_connections_per_address};
    w->resolver = resolver_new(w->l, &rargs);
    w->groups = w->resolver ? group_set_new(w->l, w->resolver) : NULL;
    w->front = w->groups ? front_new(&fargs) : NULL;
    script_use_resolver(w->resolver);
    if (!w->front) {
        return ERR_MEM;
    }
    group_set_change(w->groups, w->args.changes);
    return 0;
}

/* Everything up to the first request. 0 or < 0 with a text in err. */
static int worker_start(worker *w, char *err, size_t errcap)
{
    const struct worker_args *a = &w->args;
    struct script_env env = {w->l, a->shared->board, a->slot};
    snprintf(err, errcap, "worker: cannot be set up");
    if (priv_drop(&a->ids) < 0 || script_setup(&env) < 0) {
        return ERR_IO;
    }
    w->current = generation_new(w->l, a->recipe, a->bundle, a->generation, err, errcap);
    if (!w->current) {
        return ERR_CONF;
    }
    if (worker_engine(w, &w->current->conf->g) < 0) {
        return ERR_MEM;
    }
    return worker_enforce(w, w->current, err, errcap);
}

static NORETURN void worker_end(worker *w, int status)
{
    log_file_flush_all();
    board_set_state(w->slot, BOARD_DEAD);
#ifdef __SANITIZE_ADDRESS__
    exit(status); /* the leak check runs at exit; what is still in use is reachable from `one` */
#else
    _exit(status);
#endif
}

void worker_run(const struct worker_args *args)
{
    static worker one; /* the worker of this process */
    worker *w = &one;
    char err[WORKER_TEXT_MAX];
    w->args = *args;
    prctl(PR_SET_NAME, "mg-worker");
    clock_update();
    rand_seed();
    shared_enter_worker(args->shared, args->slot);
    w->slot = board_slot_at(args->shared->board, args->slot);
    w->slot->pid = getpid();
    w->l = loop_new();
    REQUIRE(w->l);
    timer_init(&w->finish, worker_on_finish);
    worker_signals(w);
    struct channel_user user = {worker_on_msg, worker_on_master_gone, w};
    w->channel = channel_open(w->l, args->channel_fd, &user);
    REQUIRE(w->channel);
    if (worker_start(w, err, sizeof err) < 0) {
        worker_say(w, CHANNEL_FAILED, args->generation, err);
        worker_end(w, 2);
    }
    board_set_state(w->slot, BOARD_RUNNING);
    loop_on_idle(w->l, worker_on_idle, w);
    worker_say(w, CHANNEL_READY, args->generation, NULL);
    loop_run(w->l);
    worker_end(w, 0);
}
