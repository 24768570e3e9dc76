/* swap.c — see swap.h. */
#include "proc/swap.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "proc/daemon.h"
#include "proc/master.h"
#include "proc/master_logs.h"
#include "shm/seg.h"

#include <stdio.h>

enum { SWAP_PREPARE_MS = 20000, SWAP_COMMIT_MS = 5000 };

const char *swap_state_name(enum swap_state state)
{
    static const char *const names[] = {"idle", "validating", "preparing", "committing"};
    return names[state];
}

static void swap_begin(swap *s, enum swap_mode mode);

static void swap_on_start_again(job *j)
{
    swap *s = container_of(j, swap, start_again);
    if (s->state == SWAP_IDLE) {
        swap_begin(s, s->again_mode);
    }
}

static void swap_clear(swap *s)
{
    timer_stop(&s->deadline);
    summary_fini(&s->sum);
    s->sum = (summary){.workers = 0};
    bundle_unref(s->next);
    s->next = NULL;
    s->state = SWAP_IDLE;
    s->back = false;
}

/* Ends the swap: `last` is for whoever asked. */
static void swap_finish(swap *s, bool ok, str text)
{
    struct master *m = s->m;
    s->last.ticket = s->ticket;
    s->last.ok = ok;
    snprintf(s->last.text, sizeof s->last.text, "%.*s", STR_ARG(text));
    swap_clear(s);
    master_on_swap_done(m);
    if (s->again) {
        s->again = false;
        job_wake(m->l, &s->start_again);
    }
}

static void swap_fail(swap *s, str text)
{
    struct master *m = s->m;
    if (s->state == SWAP_PREPARE) {
        channel_msg msg = {CHANNEL_DISCARD, -1, s->number, 0, STR_EMPTY};
        crew_tell(&m->crew, &msg, true);
        ports_drop_fresh(&m->ports);
        master_logs_keep(m);
    }
    stats_add(STAT_RELOADS_FAILED, 1);
    master_logs_write(LOG_ERROR_, text);
    log_error("%s rejected: generation %llu stays", s->back ? "rollback" : "configuration",
              (unsigned long long)m->generation);
    swap_finish(s, false, text);
}

static bool swap_all_answered(const swap *s)
{
    LIST_EACH(it, &s->m->crew.workers)
    {
        const crew_worker *w = list_item(it, crew_worker, node);
        if (w->asked && !w->answered) {
            return false;
        }
    }
    return true;
}

static void swap_ask(swap *s, crew_worker *w, enum channel_type type)
{
    channel_msg msg = {type, type == CHANNEL_PREPARE ? bundle_fd(s->next) : -1, s->number, 0,
                       STR_EMPTY};
    w->asked = true;
    w->answered = false;
    crew_tell_one(w, &msg);
}

static void swap_ask_all(swap *s, enum channel_type type)
{
    LIST_EACH(it, &s->m->crew.workers)
    {
        crew_worker *w = list_item(it, crew_worker, node);
        w->asked = w->answered = false;
        if (w->state != CREW_DRAINING) {
            swap_ask(s, w, type);
        }
    }
}

static void swap_done(swap *s)
{
    struct master *m = s->m;
    char text[160];
    timer_stop(&s->deadline);
    int n = snprintf(text, sizeof text, "%s generation %llu, %lld ms", s->back ? "back to" : "now",
                     (unsigned long long)m->generation, (long long)(clock_ms() - s->started_ms));
    log_notice("%s, %u workers, hash %.16s", text, crew_count_state(&m->crew, CREW_RUNNING),
               bundle_hash(m->bundle));
    stats_add(s->back ? STAT_ROLLBACKS : STAT_RELOADS, 1);
    swap_finish(s, true, str_of(text, (size_t)n));
}

static void swap_commit(swap *s)
{
    struct master *m = s->m;
    s->state = SWAP_COMMIT;
    timer_set(m->l, &s->deadline, SWAP_COMMIT_MS);
    /* From here on a worker that starts gets the new one. */
    master_take_generation(m, s->next, s->number, &s->sum, &s->ids, s->back);
    swap_ask_all(s, CHANNEL_COMMIT);
    if (swap_all_answered(s)) {
        swap_done(s);
    }
}

static void swap_on_deadline(timer *t)
{
    swap *s = container_of(t, swap, deadline);
    if (s->state == SWAP_PREPARE) {
        swap_fail(s, STR("a worker did not prepare the new generation in time"));
        return;
    }
    LIST_EACH(it, &s->m->crew.workers)
    {
        crew_worker *w = list_item(it, crew_worker, node);
        if (w->asked && !w->answered) {
            w->asked = false;
            crew_condemn(w, "it did not commit in time");
        }
    }
    swap_done(s);
}

static void swap_send_segment(void *arg, struct seg *one)
{
    swap *s = arg;
    channel_msg msg = {CHANNEL_SEGMENT, seg_fd(one), 0, (int64_t)seg_size(one), seg_name(one)};
    crew_tell(&s->m->crew, &msg, true);
}

static void swap_send_ports(swap *s)
{
    const ports *p = &s->m->ports;
    for (uint32_t i = 0; i < p->all.n; i++) {
        const port *one = p->all.v[i];
        if (one->fresh) {
            channel_msg msg = {CHANNEL_LISTENER, one->fd, 0, 0, str_c(one->key)};
            crew_tell(&s->m->crew, &msg, true);
        }
    }
}

/* What the new generation needs of the master. 0 or < 0 with a text in err. */
static int swap_provide(swap *s, char *err, size_t errcap)
{
    struct master *m = s->m;
    if (summary_read(s->next, &s->sum) < 0) {
        snprintf(err, errcap, "the summary of the configuration is damaged");
        return ERR_CONF;
    }
    if (s->sum.workers > m->shared.slots) {
        snprintf(err, errcap, "workers: at most %u without a restart of the gateway",
                 m->shared.slots);
        return ERR_CONF;
    }
    int rc = priv_resolve(s->sum.user, s->sum.group, &s->ids, err, errcap);
    if (rc == 0) {
        rc = shared_update(&m->shared, &s->sum, swap_send_segment, s, err, errcap);
    }
    if (rc == 0) {
        rc = master_logs_open(m, &s->sum, err, errcap);
    }
    if (rc == 0) {
        rc = ports_open(&m->ports, s->sum.addresses.v, s->sum.wishes.v, (int)s->sum.addresses.n,
                        err, errcap);
    }
    return rc;
}

static void swap_prepare(swap *s)
{
    struct master *m = s->m;
    char err[512];
    s->state = SWAP_PREPARE;
    timer_set(m->l, &s->deadline, SWAP_PREPARE_MS);
    if (swap_provide(s, err, sizeof err) < 0) {
        swap_fail(s, str_c(err));
        return;
    }
    swap_send_ports(s);
    swap_ask_all(s, CHANNEL_PREPARE);
    if (swap_all_answered(s)) {
        swap_commit(s);
    }
}

static void swap_on_validated(void *arg, bundle *b, str text)
{
    swap *s = arg;
    struct master *m = s->m;
    s->validation = NULL;
    if (!b) {
        swap_fail(s, text);
        return;
    }
    master_logs_write(LOG_WARN_, text);
    if (s->mode != SWAP_ALWAYS && strcmp(bundle_hash(b), bundle_hash(m->bundle)) == 0) {
        bundle_unref(b);
        swap_finish(s, true, STR("unchanged"));
        return;
    }
    s->next = b;
    s->number = ++m->last_number;
    swap_prepare(s);
}

static void swap_begin(swap *s, enum swap_mode mode)
{
    s->ticket++;
    s->state = SWAP_VALIDATE;
    s->mode = mode;
    s->started_ms = clock_ms();
    daemon_notify_reloading();
    s->validation = validate_start(s->m->l, s->m->recipe, mode == SWAP_CERTS ? s->m->bundle : NULL,
                                   swap_on_validated, s);
    if (!s->validation) {
        swap_fail(s, STR("cannot start a process to load the configuration"));
    }
}

void swap_init(swap *s, struct master *m)
{
    *s = (swap){.m = m};
    timer_init(&s->deadline, swap_on_deadline);
    job_init(&s->start_again, swap_on_start_again);
}

void swap_fini(swap *s, bool in_child)
{
    if (s->validation) {
        if (in_child) {
            validate_forget(s->validation);
        } else {
            validate_cancel(s->validation);
        }
        s->validation = NULL;
    }
    job_cancel(&s->start_again);
    swap_clear(s);
}

uint64_t swap_reload(swap *s, enum swap_mode mode)
{
    bool queued = s->again || job_is_queued(&s->start_again);
    if (s->state == SWAP_IDLE && !queued) {
        uint64_t ticket = s->ticket + 1;
        swap_begin(s, mode);
        return ticket;
    }
    s->again_mode =
        queued && s->again_mode < mode ? s->again_mode : mode; /* the one that sees most */
    s->again = s->state != SWAP_IDLE;
    return s->ticket + 1;
}

uint64_t swap_rollback(swap *s, char *err, size_t errcap)
{
    struct master *m = s->m;
    if (s->state != SWAP_IDLE) {
        snprintf(err, errcap, "a reload is under way (%s)", swap_state_name(s->state));
        return 0;
    }
    if (!m->previous) {
        snprintf(err, errcap, "there is no previous generation");
        return 0;
    }
    uint64_t ticket = ++s->ticket;
    s->back = true;
    s->started_ms = clock_ms();
    s->next = bundle_ref(m->previous);
    s->number = m->previous_number;
    daemon_notify_reloading();
    swap_prepare(s);
    return ticket;
}

static void swap_on_failed(swap *s, crew_worker *w, str text)
{
    if (s->state == SWAP_COMMIT) {
        log_alert("worker %ld cannot commit generation %llu: %.*s", (long)w->pid,
                  (unsigned long long)s->number, STR_ARG(text));
        crew_condemn(w, "it runs a mixture of generations");
        w->asked = false;
        if (swap_all_answered(s)) {
            swap_done(s);
        }
        return;
    }
    swap_fail(s, text);
}

void swap_on_msg(swap *s, crew_worker *w, const channel_msg *m)
{
    if (s->state < SWAP_PREPARE || m->generation != s->number || !w->asked || w->answered) {
        return; /* late: of a swap that is over */
    }
    if (m->type == CHANNEL_FAILED) {
        swap_on_failed(s, w, m->text);
        return;
    }
    if (m->type != (s->state == SWAP_PREPARE ? CHANNEL_READY : CHANNEL_DONE)) {
        return;
    }
    w->answered = true;
    if (s->state == SWAP_COMMIT) {
        w->generation = s->number;
    }
    if (!swap_all_answered(s)) {
        return;
    }
    if (s->state == SWAP_PREPARE) {
        swap_commit(s);
    } else {
        swap_done(s);
    }
}

void swap_on_gone(swap *s, const crew_worker *w)
{
    if (s->state < SWAP_PREPARE || !w->asked || w->answered) {
        return;
    }
    if (s->state == SWAP_PREPARE) {
        swap_fail(s, STR("a worker ended while it prepared the new generation"));
    } else if (swap_all_answered(s)) {
        swap_done(s);
    }
}

void swap_on_spawned(swap *s, crew_worker *w)
{
    if (s->state == SWAP_PREPARE) {
        swap_ask(s, w, CHANNEL_PREPARE); /* it inherited sockets and segments */
    }
}
