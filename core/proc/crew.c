/* crew.c — see crew.h. */
#include "proc/crew.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proc/master.h"
#include "proc/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CREW_YOUNG_MS = 2000,
    CREW_PAUSE_MS = 100,
    CREW_PAUSE_MAX_MS = 5000,
    CREW_WATCH_MAX_MS = 500,
    CREW_WATCH_MIN_MS = 50,
    CREW_STARVED_TIMES = 4 /* so many times the watchdog's limit for a hook that gets no CPU */
};

static void crew_balance(crew *c);

static void crew_on_respawn(timer *t)
{
    crew_balance(container_of(t, crew, respawn));
}

/* 0: cannot be said. */
static int64_t crew_cpu_ms(pid_t pid)
{
    clockid_t cpu;
    struct timespec t;
    if (clock_getcpuclockid(pid, &cpu) != 0 || clock_gettime(cpu, &t) < 0) {
        return 0;
    }
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* On a machine with too much to do a hook may take long without having used its CPU budget, which would stop it. Ending its worker
 * would make things worse, so half of the limit must be CPU time, unless it takes very long: it may block instead of compute. */
static bool crew_is_stuck(crew_worker *w, const board_hook *hook, int64_t limit_ms)
{
    int64_t took = clock_ms() - hook->since_ms, cpu = crew_cpu_ms(w->pid);
    if (w->hook_since_ms != hook->since_ms) {
        w->hook_since_ms = hook->since_ms;
        w->hook_cpu_ms = cpu;
    }
    return took >= limit_ms && (cpu - w->hook_cpu_ms >= limit_ms / 2 || took >= CREW_STARVED_TIMES * limit_ms);
}

static void crew_watch_one(crew_worker *w, int64_t limit_ms)
{
    struct master *m = w->m;
    board_hook hook;
    if (w->condemned || !board_hook_stuck(board_slot_at(m->shared.board, w->slot), clock_ms(), 0, &hook) ||
        !crew_is_stuck(w, &hook, limit_ms)) {
        return;
    }
    log_alert(
        "worker %ld is stuck in a hook for %lld ms: policy \"%.*s\", phase %u, generation %llu",
        (long)w->pid, (long long)(clock_ms() - hook.since_ms),
        (int)strnlen(hook.policy.name, BOARD_POLICY_MAX), hook.policy.name, hook.phase,
        (unsigned long long)hook.generation);
    board_quarantine_add(m->shared.board, &hook, clock_ms());
    stats_add(STAT_WATCHDOG_KILLS, 1);
    crew_condemn(w, "its hook does not return");
}

static void crew_on_watchdog(timer *t)
{
    crew *c = container_of(t, crew, watchdog);
    int64_t stuck_ms = c->m->sum.watchdog_ms;
    int64_t every = stuck_ms / 4;
    LIST_EACH_SAFE(it, &c->workers)
    {
        if (stuck_ms > 0) {
            crew_watch_one(list_item(it, crew_worker, node), stuck_ms);
        }
    }
    every = every > CREW_WATCH_MAX_MS || stuck_ms <= 0 ? CREW_WATCH_MAX_MS : every;
    timer_set(c->m->l, t, every < CREW_WATCH_MIN_MS ? CREW_WATCH_MIN_MS : every);
}

void crew_init(crew *c, struct master *m)
{
    *c = (crew){.m = m};
    list_init(&c->workers);
    timer_init(&c->respawn, crew_on_respawn);
    timer_init(&c->watchdog, crew_on_watchdog);
}

static void crew_forget(crew_worker *w)
{
    list_remove(&w->node);
    channel_close(w->channel);
    free(w);
}

void crew_fini(crew *c)
{
    timer_stop(&c->respawn);
    timer_stop(&c->watchdog);
    LIST_EACH_SAFE(it, &c->workers)
    {
        crew_forget(list_item(it, crew_worker, node));
    }
}

static void crew_on_msg(void *arg, const channel_msg *m)
{
    crew_worker *w = arg;
    if (m->type == CHANNEL_READY && w->state == CREW_STARTING) {
        w->state = CREW_RUNNING;
        log_info("worker %ld runs generation %llu", (long)w->pid,
                 (unsigned long long)w->generation);
        master_on_worker_running(w->m, w);
    } else {
        master_on_worker_msg(w->m, w, m);
    }
    if (m->fd >= 0) {
        close(m->fd);
    }
}

static void crew_on_end(void *arg)
{
    (void)arg; /* SIGCHLD follows */
}

static NORETURN void crew_child(crew *c, int channel_fd, uint32_t slot)
{
    struct master *m = c->m;
    struct worker_args args = {
        .recipe = m->recipe,
        .bundle = bundle_ref(m->bundle),
        .generation = m->generation,
        .ports = &m->ports,
        .logs = &m->logs,
        .shared = &m->shared,
        .ids = m->ids,
        .slot = slot,
        .channel_fd = channel_fd,
        .shutdown_ms = m->sum.shutdown_ms,
        .error_log = m->options.error_log,
        .changes = &m->upstreams.all,
    };
    master_leave(m);
    worker_run(&args);
}

/* Forks one worker on the committed generation. 0 or ERR_*. */
static int crew_spawn(crew *c)
{
    struct master *m = c->m;
    int fds[2];
    int slot = board_claim(m->shared.board, clock_ms());
    if (slot < 0) {
        return slot;
    }
    int rc = channel_pair(fds);
    if (rc < 0) {
        board_free(m->shared.board, (uint32_t)slot);
        return rc;
    }
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* as in validate.c */
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        crew_child(c, fds[1], (uint32_t)slot);
    }
    int saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        board_free(m->shared.board, (uint32_t)slot);
        return err_from_errno(saved);
    }
    crew_worker *w = calloc(1, sizeof *w);
    REQUIRE(w);
    *w = (crew_worker){
        .m = m, .pid = pid, .slot = (uint32_t)slot, .stamp = c->stamp, .generation = m->generation};
    w->born_ms = clock_ms();
    struct channel_user user = {crew_on_msg, crew_on_end, w};
    w->channel = channel_open(m->l, fds[0], &user);
    REQUIRE(w->channel);
    list_push_back(&c->workers, &w->node);
    stats_add(STAT_WORKER_STARTS, 1);
    master_on_worker_spawned(m, w);
    return 0;
}

static void crew_drain_one(crew_worker *w, int64_t grace_ms)
{
    channel_msg msg = {CHANNEL_QUIT, -1, 0, grace_ms, STR_EMPTY};
    w->state = CREW_DRAINING;
    if (channel_send(w->channel, &msg) < 0) {
        kill(w->pid, SIGTERM);
    }
}

/* Too many, or running ones of an older stamp that have a successor. */
static void crew_drain_surplus(crew *c)
{
    uint32_t fresh = 0, old = 0;
    LIST_EACH(it, &c->workers)
    {
        const crew_worker *w = list_item(it, crew_worker, node);
        fresh += w->stamp == c->stamp && w->state == CREW_RUNNING;
        old += w->stamp != c->stamp && w->state != CREW_DRAINING;
    }
    uint32_t keep_old = c->want > fresh ? c->want - fresh : 0;
    for (list *it = c->workers.prev; it != &c->workers; it = it->prev) {
        crew_worker *w = list_item(it, crew_worker, node);
        if (w->state == CREW_DRAINING) {
            continue;
        }
        if (w->stamp != c->stamp && old > keep_old) {
            old--;
            crew_drain_one(w, c->m->sum.shutdown_ms);
        } else if (w->stamp == c->stamp && w->state == CREW_RUNNING && fresh > c->want) {
            fresh--;
            crew_drain_one(w, c->m->sum.shutdown_ms);
        }
    }
}

static int crew_try_balance(crew *c)
{
    if (c->want == 0) {
        return 0;
    }
    uint32_t have = 0;
    LIST_EACH(it, &c->workers)
    {
        const crew_worker *w = list_item(it, crew_worker, node);
        have += w->stamp == c->stamp && w->state != CREW_DRAINING;
    }
    for (; have < c->want; have++) {
        int rc = crew_spawn(c);
        if (rc < 0) {
            log_alert("cannot start a worker: %s", err_text(rc));
            timer_set(c->m->l, &c->respawn, 1000);
            return rc;
        }
    }
    crew_drain_surplus(c);
    return 0;
}

static void crew_balance(crew *c)
{
    (void)crew_try_balance(c);
}

int crew_resize(crew *c, uint32_t want)
{
    c->want = want;
    if (!timer_is_set(&c->watchdog)) {
        timer_set(c->m->l, &c->watchdog, CREW_WATCH_MIN_MS);
    }
    return crew_try_balance(c);
}

void crew_renew(crew *c)
{
    c->stamp++;
    crew_balance(c);
}

/* Called for a death nobody asked for: how long to wait before the replacement. */
static int64_t crew_pause(crew *c, int64_t lived_ms)
{
    if (lived_ms >= CREW_YOUNG_MS) {
        c->young_deaths = 0;
        return 0;
    }
    uint32_t n = c->young_deaths++;
    int64_t pause = n == 0 ? 0 : n > 6 ? CREW_PAUSE_MAX_MS : (int64_t)CREW_PAUSE_MS << (n - 1);
    return pause > CREW_PAUSE_MAX_MS ? CREW_PAUSE_MAX_MS : pause;
}

static void crew_log_death(const crew_worker *w, int status)
{
    if (w->m->sum.nginx && !WIFSIGNALED(status)) {
        log_notice("worker process %ld exited with code %d", (long)w->pid, WEXITSTATUS(status));
        return;
    }
    if (WIFSIGNALED(status)) {
        log_alert("worker %ld ended with signal %d (%s), generation %llu", (long)w->pid,
                  WTERMSIG(status), strsignal(WTERMSIG(status)), (unsigned long long)w->generation);
    } else {
        log_alert("worker %ld ended with status %d, generation %llu", (long)w->pid,
                  WEXITSTATUS(status), (unsigned long long)w->generation);
    }
}

static void crew_on_death(crew *c, crew_worker *w, int status)
{
    struct master *m = c->m;
    bool asked = w->state == CREW_DRAINING || c->want == 0;
    if (asked && WIFEXITED(status) && !m->sum.nginx) {
        log_info("worker %ld ended", (long)w->pid);
    } else {
        crew_log_death(w, status);
    }
    shared_forget_worker(&m->shared, w->slot);
    crew_worker gone = *w;
    crew_forget(w);
    if (!asked) {
        c->restarts++;
        stats_add(STAT_WORKER_RESTARTS, 1);
        int64_t pause = gone.condemned ? 0 : crew_pause(c, clock_ms() - gone.born_ms);
        if (pause > 0) {
            log_warn("workers die young: the next one starts in %lld ms", (long long)pause);
        }
        timer_set(m->l, &c->respawn, pause);
    }
    master_on_worker_gone(m, &gone);
}

void crew_reap(crew *c)
{
    LIST_EACH_SAFE(it, &c->workers)
    {
        crew_worker *w = list_item(it, crew_worker, node);
        int status;
        if (waitpid(w->pid, &status, WNOHANG) == w->pid) {
            crew_on_death(c, w, status);
        }
    }
}

uint32_t crew_count(const crew *c)
{
    uint32_t n = 0;
    LIST_EACH(it, &c->workers)
    {
        n++;
    }
    return n;
}

uint32_t crew_count_state(const crew *c, enum crew_state state)
{
    uint32_t n = 0;
    LIST_EACH(it, &c->workers)
    {
        n += list_item(it, crew_worker, node)->state == state;
    }
    return n;
}

void crew_tell_one(crew_worker *w, const channel_msg *m)
{
    if (channel_send(w->channel, m) == ERR_AGAIN) {
        crew_condemn(w, "it does not read its messages");
    }
}

void crew_tell(crew *c, const channel_msg *m, bool all)
{
    LIST_EACH(it, &c->workers)
    {
        crew_worker *w = list_item(it, crew_worker, node);
        if (w->state == CREW_RUNNING || (all && w->state == CREW_STARTING)) {
            crew_tell_one(w, m);
        }
    }
}

void crew_condemn(crew_worker *w, const char *why)
{
    if (!w->condemned) {
        log_alert("worker %ld is ended: %s", (long)w->pid, why);
        w->condemned = true;
        kill(w->pid, SIGKILL);
    }
}

void crew_quit(crew *c, int64_t grace_ms)
{
    c->want = 0;
    LIST_EACH(it, &c->workers)
    {
        crew_drain_one(list_item(it, crew_worker, node), grace_ms);
    }
}

void crew_kill(crew *c, int signum)
{
    c->want = 0;
    LIST_EACH(it, &c->workers)
    {
        kill(list_item(it, crew_worker, node)->pid, signum);
    }
}
