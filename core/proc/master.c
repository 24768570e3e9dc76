/* master.c — see master.h. Order of a start: log, user, sockets, segments, workers; only when every
 * worker runs: pid file, admin socket, "ready". */
#include "proc/master.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "proc/daemon.h"
#include "proc/master_logs.h"
#include "proc/master_pid.h"
#include "proc/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MASTER_START_MS = 60000,
    MASTER_END_MS = 2000, /* between TERM and KILL */
    MASTER_SLACK_MS =
        1000, /* workers end a drain by themselves; the master steps in a little later */
    MASTER_SLOTS_MIN = 16,
};

const char *master_state_name(enum master_state state)
{
    static const char *const names[] = {"starting", "running", "draining", "ending"};
    return names[state];
}

/* The files of unix sockets stay when another process of ours listens there. */
static void master_close_ports(master *m)
{
    ports_fini(&m->ports, m->heir == 0 && !upgrade_has_elder());
}

/* A start that fails tells the log, and the terminal when the log is a file. */
static void master_fail(master *m, const char *text)
{
    master_logs_write(LOG_EMERG_, str_c(text));
    if (!master_logs_to_stderr(m)) {
        fprintf(stderr, "moongate: %s%s\n", m->sum.nginx ? "[emerg] " : "", text);
    }
    m->status = 1;
    master_end(m);
}

/* ---- the end */

static void master_on_end_timer(timer *t)
{
    master *m = container_of(t, master, end);
    if (m->state == MASTER_STARTING) {
        master_fail(m, "the workers did not start in time");
    } else if (m->state == MASTER_DRAINING) {
        master_end(m);
    } else {
        crew_kill(&m->crew, SIGKILL);
    }
}

static void master_stop_when_alone(master *m)
{
    if (m->state >= MASTER_DRAINING && crew_count(&m->crew) == 0) {
        loop_stop(m->l);
    }
}

static void master_stop_swapping(master *m)
{
    swap_fini(&m->swap, false);
    watch_close(m->watch);
    m->watch = NULL;
}

void master_quit(master *m)
{
    if (m->state == MASTER_STARTING) {
        master_end(m);
        return;
    }
    if (m->state != MASTER_RUNNING) {
        return;
    }
    if (!m->sum.nginx) {
        log_notice("stopping gracefully, at most %lld ms", (long long)m->sum.shutdown_ms);
    }
    m->state = MASTER_DRAINING;
    daemon_notify("STOPPING=1");
    master_stop_swapping(m);
    crew_quit(&m->crew, m->sum.shutdown_ms);
    master_close_ports(m);
    timer_set(m->l, &m->end, m->sum.shutdown_ms + MASTER_SLACK_MS);
    master_stop_when_alone(m);
}

void master_end(master *m)
{
    if (m->state == MASTER_ENDING) {
        return;
    }
    if (m->state == MASTER_RUNNING) {
        if (!m->sum.nginx) {
            log_notice("stopping");
        }
        daemon_notify("STOPPING=1");
    }
    m->state = MASTER_ENDING;
    master_stop_swapping(m);
    crew_kill(&m->crew, SIGTERM);
    master_close_ports(m);
    timer_set(m->l, &m->end, MASTER_END_MS);
    master_stop_when_alone(m);
}

/* ---- while it runs */

static void master_on_watch(void *arg, unsigned what)
{
    master *m = arg;
    if (m->state == MASTER_RUNNING) {
        bool files = m->sum.watch || m->options.watch;
        log_notice("%s changed",
                   files && (what & WATCH_FILES) ? "configuration files" : "certificate files");
        (void)swap_reload(&m->swap, files ? SWAP_IF_CHANGED : SWAP_CERTS);
    }
}

static void master_follow_files(master *m)
{
    bool files = m->sum.watch || m->options.watch;
    if (!m->watch && (files || m->sum.certs.n > 0)) {
        m->watch = watch_open(m->l, master_on_watch, m);
    }
    if (m->watch) {
        watch_follow(m->watch, m->bundle, &m->sum, files);
    }
}

static void master_arm_tickets(master *m)
{
    m->ticket_ms = m->sum.ticket_ms;
    timer_set(m->l, &m->tickets, m->ticket_ms);
}

static void master_on_tickets(timer *t)
{
    master *m = container_of(t, master, tickets);
    shared_rotate_tickets(&m->shared);
    master_arm_tickets(m);
}

/* Probation is over: the previous generation need not be warm. Its bundle stays, so that it can
 * still be loaded again. */
static void master_on_probation(timer *t)
{
    master *m = container_of(t, master, probation);
    channel_msg msg = {CHANNEL_SETTLE, -1, 0, 0, STR_EMPTY};
    crew_tell(&m->crew, &msg, true);
}

static void master_reload(master *m)
{
    if (m->state == MASTER_STARTING) {
        m->reload_soon = true; /* whoever found the pid file cannot know better */
    } else if (m->state == MASTER_RUNNING) {
        log_notice(m->sum.nginx ? "reconfiguring" : "reload asked for");
        if (m->crew.want == 0) { /* after WINCH */
            (void)crew_resize(&m->crew, (uint32_t)m->sum.workers);
        }
        (void)swap_reload(&m->swap, SWAP_ALWAYS);
    }
}

static void master_upgrade(master *m)
{
    if (m->state != MASTER_RUNNING || m->heir != 0 || upgrade_has_elder()) {
        log_notice("another binary is taking over already, or cannot yet");
        return;
    }
    master_pid_rename(m, true);
    pid_t pid = upgrade_start(&m->ports);
    if (pid < 0) {
        log_alert("cannot start a new binary: %s", strerror(errno));
        master_pid_rename(m, false);
        return;
    }
    m->heir = pid;
    log_notice("start new binary process %ld", (long)pid);
}

static void master_reap_heir(master *m)
{
    int status;
    if (m->heir != 0 && waitpid(m->heir, &status, WNOHANG) == m->heir) {
        log_notice("new binary process %ld ended", (long)m->heir);
        m->heir = 0;
        if (m->state == MASTER_RUNNING) {
            master_pid_rename(m, false);
        }
    }
}

/* The workers finish what they have; the master stays and may start others (HUP). */
static void master_stop_workers(master *m)
{
    if (m->state == MASTER_RUNNING && m->sum.nginx) {
        crew_quit(&m->crew, m->sum.shutdown_ms);
    }
}

static void master_say_signal(const master *m, int signum)
{
    static const struct {
        int signum;
        const char *name, *what;
    } known[] = {{SIGHUP, "SIGHUP", ", reconfiguring"},     {SIGQUIT, "SIGQUIT", ", shutting down"},
                 {SIGTERM, "SIGTERM", ", exiting"},          {SIGINT, "SIGINT", ", exiting"},
                 {SIGUSR1, "SIGUSR1", ", reopening logs"},   {SIGUSR2, "SIGUSR2", ", changing binary"},
                 {SIGWINCH, "SIGWINCH", ""},                 {SIGCHLD, "SIGCHLD", ""}};
    for (size_t i = 0; m->sum.nginx && i < ARRAY_LEN(known); i++) {
        if (known[i].signum == signum) {
            log_notice("signal %d (%s) received%s", signum, known[i].name, known[i].what);
        }
    }
}

static void master_on_signal(int signum, void *arg)
{
    master *m = arg;
    master_say_signal(m, signum);
    switch (signum) {
    case SIGHUP:
        master_reload(m);
        break;
    case SIGQUIT:
        master_quit(m);
        break;
    case SIGTERM:
    case SIGINT:
        master_end(m);
        break;
    case SIGUSR1:
        master_logs_reopen(m);
        break;
    case SIGUSR2:
        master_upgrade(m);
        break;
    case SIGWINCH:
        master_stop_workers(m);
        break;
    case SIGCHLD:
        master_reap_heir(m);
        crew_reap(&m->crew);
        break;
    default:
        log_warn("signal %d has no meaning here", signum);
    }
}

static void master_signals(master *m)
{
    const int watched[] = {SIGHUP, SIGQUIT, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        m->signals[i] = signal_start(m->l, watched[i], master_on_signal, m);
        REQUIRE(m->signals[i]);
    }
}

/* ---- workers and generations */

/* In the order of the configuration; `fresh_only`: what a reload added. */
static void master_log_ports(master *m, bool fresh_only)
{
    for (uint32_t i = 0; i < m->sum.addresses.n; i++) {
        char key[256];
        ports_key(m->sum.addresses.v, (int)i, key, sizeof key);
        const port *one = ports_find(&m->ports, key);
        if (one && (one->fresh || !fresh_only)) {
            log_notice("listening on %s", one->shown);
        }
    }
}

static void master_up(master *m)
{
    m->state = MASTER_RUNNING;
    timer_stop(&m->end);
    m->admin = admin_open(m);
    master_follow_files(m); /* before anybody is told that we are up: a change from then on must be seen */
    master_log_ports(m, false);
    ports_keep(&m->ports, m->sum.addresses.v, (int)m->sum.addresses.n, true);
    master_arm_tickets(m);
    log_notice("generation %llu, %u workers, ready in %lld ms", (unsigned long long)m->generation,
               crew_count_state(&m->crew, CREW_RUNNING), (long long)(clock_ms() - m->started_ms));
    daemon_notify("READY=1");
    daemon_ready(0, master_logs_to_stderr(m));
    if (m->reload_soon) {
        m->reload_soon = false;
        master_reload(m);
    }
}

void master_on_worker_running(master *m, crew_worker *w)
{
    (void)w;
    if (m->state == MASTER_STARTING && crew_count_state(&m->crew, CREW_RUNNING) == m->crew.want) {
        master_up(m);
    } else if (m->state == MASTER_RUNNING) {
        (void)crew_resize(&m->crew, (uint32_t)m->sum.workers); /* may let older ones go */
    }
}

void master_on_worker_spawned(master *m, crew_worker *w)
{
    swap_on_spawned(&m->swap, w);
}

void master_on_worker_msg(master *m, crew_worker *w, const channel_msg *msg)
{
    if (msg->type == CHANNEL_STATUS) {
        admin_on_status(m->admin, w, msg);
    } else if (msg->type == CHANNEL_UPSTREAMS) {
        admin_on_told(m->admin, w, msg);
    } else if (m->state == MASTER_STARTING && msg->type == CHANNEL_FAILED) {
        char text[CHANNEL_TEXT_MAX + 1];
        snprintf(text, sizeof text, "%.*s", STR_ARG(msg->text));
        master_fail(m, text);
    } else if (msg->type == CHANNEL_FAILED && w->state == CREW_STARTING) {
        master_logs_write(LOG_ALERT_, msg->text);
    } else {
        swap_on_msg(&m->swap, w, msg);
    }
}

void master_on_worker_gone(master *m, const crew_worker *w)
{
    if (m->state == MASTER_STARTING) {
        master_fail(m, "a worker ended while it started");
    }
    swap_on_gone(&m->swap, w);
    admin_on_gone(m->admin, w);
    master_stop_when_alone(m);
}

void master_take_generation(master *m, bundle *b, uint64_t number, summary *sum, const priv *ids,
                            bool back)
{
    bundle *oldest =
        back ? m->bundle : m->previous; /* m->sum views into m->bundle: released last */
    bundle *newer = back ? m->previous : NULL;
    m->previous = back ? NULL : m->bundle;
    m->previous_number = m->generation;
    m->bundle = bundle_ref(b);
    m->generation = number;
    m->fresh = true;
    m->committed_wall_ms = clock_wall_ms();
    /* What a worker takes on once in its life. */
    m->renew = m->renew || !priv_eq(&m->ids, ids) || !str_eq(m->sum.resolver, sum->resolver);
    m->ids = *ids;
    summary_fini(&m->sum);
    m->sum = *sum;
    *sum = (summary){.workers = 0};
    bundle_unref(oldest);
    bundle_unref(newer);
    stats_set(STAT_GENERATION, number);
}

/* What a committed generation changes in the master itself. */
static void master_apply_generation(master *m)
{
    master_logs_keep(m);
    master_logs_use(m);
    master_log_ports(m, true);
    ports_keep(&m->ports, m->sum.addresses.v, (int)m->sum.addresses.n, true);
    if (m->heir == 0) { /* else the name is the heir's */
        (void)master_pid_write(m); /* said in the log */
    }
    master_follow_files(m);
    if (m->ticket_ms != m->sum.ticket_ms) {
        master_arm_tickets(m);
    }
    admin_follow(m->admin);
    upstreams_follow(m);
    board_quarantine_clear(m->shared.board, m->generation);
    if (m->renew) {
        m->renew = false;
        crew_renew(&m->crew);
    }
    (void)crew_resize(&m->crew, (uint32_t)m->sum.workers);
    timer_stop(&m->probation);
    if (m->previous) {
        timer_set(m->l, &m->probation, m->sum.probation_ms);
    }
}

void master_on_swap_done(master *m)
{
    if (m->fresh) {
        m->fresh = false;
        master_apply_generation(m);
    }
    daemon_notify("READY=1");
    admin_on_swap_done(m->admin);
}

/* ---- the start */

void master_leave(master *m)
{
    loop_reinit(m->l); /* an epoll of our own: what is removed here must stay in the master's */
    for (size_t i = 0; i < MASTER_SIGNALS_MAX && m->signals[i]; i++) {
        signal_stop(m->signals[i]);
    }
    swap_fini(&m->swap, true);
    crew_fini(&m->crew);
    admin_close(m->admin, false);
    watch_close(m->watch);
    loop_free(m->l);
    m->l = NULL;
}

static int master_open(master *m, char *err, size_t errcap)
{
    const summary *sum = &m->sum;
    int rc = priv_resolve(sum->user, sum->group, &m->ids, err, errcap);
    if (rc < 0) {
        return rc;
    }
    rc = master_logs_open(m, sum, err, errcap);
    if (rc < 0) {
        return rc;
    }
    master_logs_use(m);
    upgrade_inherit(&m->ports);
    rc = ports_open(&m->ports, sum->addresses.v, sum->wishes.v, (int)sum->addresses.n, err,
                    errcap);
    if (rc < 0) {
        return rc;
    }
    rc = master_pid_write(m); /* at once: who can connect may look for it */
    if (rc < 0 && sum->nginx && sum->pid.n) {
        snprintf(err, errcap, "open() \"%s\" failed (%d: %s)", sum->pid.p, errno, strerror(errno));
        return rc;
    }
    upstreams_open(m);
    int64_t slots = sum->workers * 4;
    slots = slots < MASTER_SLOTS_MIN  ? MASTER_SLOTS_MIN
            : slots > BOARD_SLOTS_MAX ? BOARD_SLOTS_MAX
                                      : slots;
    rc = shared_open(&m->shared, (uint32_t)slots, sum, err, errcap);
    if (rc == 0 && sum->workers > slots) {
        snprintf(err, errcap, "workers: at most %d", BOARD_SLOTS_MAX);
        return ERR_CONF;
    }
    return rc;
}

static void master_init(master *m, const recipe *r, const struct master_options *o, bundle *b)
{
    *m = (master){.recipe = r, .options = *o, .bundle = b, .generation = 1, .last_number = 1};
    clock_update();
    m->started_ms = clock_ms();
    m->started_wall_ms = m->committed_wall_ms = clock_wall_ms();
    m->l = loop_new();
    REQUIRE(m->l);
    ports_init(&m->ports);
    logs_init(&m->logs);
    crew_init(&m->crew, m);
    swap_init(&m->swap, m);
    timer_init(&m->tickets, master_on_tickets);
    timer_init(&m->probation, master_on_probation);
    timer_init(&m->end, master_on_end_timer);
}

static void master_fini(master *m)
{
    admin_close(m->admin, true);
    watch_close(m->watch);
    swap_fini(&m->swap, false);
    crew_fini(&m->crew);
    master_close_ports(m);
    logs_fini(&m->logs);
    upstreams_fini(&m->upstreams);
    if (m->pid_file) {
        daemon_pid_remove(m->pid_file);
        free(m->pid_file);
    }
    summary_fini(&m->sum);
    bundle_unref(m->bundle);
    bundle_unref(m->previous);
}

int master_run(const recipe *r, const struct master_options *o, bundle *b)
{
    static master one; /* the master of this process; workers find it in inherited memory */
    master *m = &one;
    char err[512] = "the summary of the configuration is damaged";
    master_init(m, r, o, b);
    master_signals(m); /* before anybody can connect or finds the pid file: who asks for a reload then must not end the process */
    if (summary_read(b, &m->sum) < 0 || master_open(m, err, sizeof err) < 0) {
        master_fail(m, err);
        master_fini(m);
        daemon_ready(1, true);
        return 1;
    }
    prctl(PR_SET_NAME, "mg-master");
    timer_set(m->l, &m->end, MASTER_START_MS);
    stats_set(STAT_GENERATION, m->generation);
    if (crew_resize(&m->crew, (uint32_t)m->sum.workers) < 0) {
        master_fail(m, "cannot start a worker");
    }
    if (crew_count(&m->crew) > 0) { /* else a stop was asked for before the loop ran */
        loop_run(m->l);
    }
    log_notice("stopped");
    master_fini(m);
    daemon_ready(m->status, true);
    return m->status;
}
