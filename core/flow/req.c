/* req.c — life of a request object: made (recycled), woken, aborted, let go. The order of its life is steps.c. */
#include "flow/req.h"

#include "back/group.h"
#include "base/cells.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/zero.h"
#include "flow/hook.h"
#include "flow/nobody.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/var.h"

/* A request and the first part of its pool share a page. */
enum { REQ_KEEP_FREE = 16, REQ_CELL = 4096 };
_Static_assert(sizeof(req) < REQ_CELL / 2 + 256, "a usual request fits in its page");

const struct flow_hooks *flow_hooks;

/* Per-process: the requests alive and a few spare ones. */
static struct {
    list live;
    list spare;
    uint32_t nlive, nspare;
    uint64_t next_id;
    cells cells;
} reqs = {.cells = CELLS(REQ_CELL)};

static void on_run(job *j)
{
    steps_run(container_of(j, req, job));
}

static void on_deadline(timer *t)
{
    req *r = container_of(t, req, timer);
    r->timed_out = true;
    req_wake(r);
}

static void on_total(timer *t)
{
    req *r = container_of(t, req, total);
    r->timed_out = true;
    r->total_expired = true;
    req_wake(r);
}

static req *req_alloc(void)
{
    if (!reqs.next_id) {
        list_init(&reqs.live);
        list_init(&reqs.spare);
        reqs.next_id = (rand_u64() >> 16) | 1;
    }
    if (reqs.nspare) {
        reqs.nspare--;
        req *r = list_item(reqs.spare.next, req, node);
        list_remove(&r->node);
        return r;
    }
    req *r = cells_take(&reqs.cells);
    if (!r) {
        fatal("out of memory for a request");
    }
    pool_init_own(&r->pool, POOL_PAGE, r + 1, REQ_CELL - sizeof *r);
    timer_init(&r->timer, on_deadline);
    timer_init(&r->total, on_total);
    job_init(&r->job, on_run);
    return r;
}

req *req_new(loop *l, plan *p, const plan_listen *listen, const struct proto_ops *proto, void *conn)
{
    req *r = req_alloc();
    r->client.facts = NULL;
    zero((char *)r + offsetof(req, plan), sizeof *r - offsetof(req, plan));
    r->l = l;
    r->id = reqs.next_id++;
    r->plan = plan_ref(p);
    r->listen = listen;
    r->proto = proto;
    r->conn = conn;
    r->start_us = clock_us();
    r->start_wall_ms = clock_wall_ms();
    msg_init(&r->in, &r->pool);
    list_push_back(&reqs.live, &r->node);
    reqs.nlive++;
    return r;
}

void req_start(req *r)
{
    r->step = STEP_ADMIT;
    steps_run(r);
}

void req_start_error(req *r, int err)
{
    r->err_at_start = err;
    r->close = true;
    req_start(r);
}

void req_abort(req *r, int err)
{
    if (r->step >= STEP_FINISH && r->step != STEP_FINISH) {
        return; /* already over: the log step owns it */
    }
    if (err == ERR_CLIENT_GONE && nobody_takes_over(r)) {
        return;
    }
    r->client_gone = true;
    r->abort_err = err;
    var_leave_connection(r);
    if (!r->in_run) {
        req_wake(r);
    }
}

void req_deadline(req *r, int64_t ms)
{
    r->timed_out = r->total_expired;
    if (ms > 0) {
        timer_set(r->l, &r->timer, ms);
    } else {
        timer_clear(&r->timer);
    }
}

int req_wait_here(req *r, enum req_wait kind, int64_t ms, uint64_t progress)
{
    if (r->armed_for != kind || r->armed_progress != progress || (ms > 0 && !timer_is_set(&r->timer))) {
        req_deadline(r, ms);
        r->armed_for = (uint8_t)kind;
        r->armed_progress = progress;
    }
    r->wait = (uint8_t)kind;
    return STEP_WAIT_HERE;
}

static void end_attempts(req *r)
{
    for (int i = 0; i < r->nattempts; i++) {
        if (r->attempts[i].open) {
            r->attempts[i].open = false;
            peer_done(r->attempts[i].peer, &(struct peer_outcome){0}, clock_ms());
        }
        peer_unref(r->attempts[i].peer);
    }
    r->nattempts = 0;
}

void req_trim(void)
{
    cells_trim(&reqs.cells, REQ_KEEP_FREE);
}

bool req_has_spare(void)
{
    return cells_has_spare(&reqs.cells, REQ_KEEP_FREE);
}

void req_free(req *r)
{
    if (flow_hooks && r->script) {
        flow_hooks->release(r);
    }
    if (r->fetching) {
        fetch_end(&r->fetch);
    }
    end_attempts(r);
    if (r->group) {
        group_wait_cancel(r->group, &r->job);
    }
    timer_clear(&r->timer); /* may stay linked: the next request finds it there, and setting it is one store */
    timer_clear(&r->total);
    job_cancel(&r->job);
    mem_unref(r->res_mem);
    mem_unref(r->head_mem);
    mem_unref(r->proxy);
    list_remove(&r->node);
    reqs.nlive--;
    plan *p = r->plan;
    pool_reset(&r->pool);
    if (reqs.nspare < REQ_KEEP_FREE) {
        reqs.nspare++;
        list_push_front(&reqs.spare, &r->node);
    } else {
        timer_stop(&r->timer);
        timer_stop(&r->total);
        pool_fini(&r->pool);
        cells_give(&reqs.cells, r);
    }
    plan_unref(p); /* last: may free the generation */
}

void req_each(void (*fn)(req *r, void *arg), void *arg)
{
    if (reqs.next_id) {
        LIST_EACH_SAFE(it, &reqs.live)
        {
            fn(list_item(it, req, node), arg);
        }
    }
}

uint32_t req_count(void)
{
    return reqs.nlive;
}

str req_client_ip(req *r)
{
    if (!r->client.ip.n) {
        char *text = pool_alloc(&r->pool, ADDR_TEXT_MAX);
        r->client.ip = str_of(text, addr_print_ip(&r->client.addr, text, ADDR_TEXT_MAX));
    }
    return r->client.ip;
}

const char *req_wait_name(enum req_wait w)
{
    static const char *const names[] = {"none", "script", "client-body", "resolve", "connect", "upstream-send",
                                        "upstream-head", "data", "client-write", "tunnel", "file",
                                        "turn", "subrequest"};
    return w < ARRAY_LEN(names) ? names[w] : "unknown";
}

void req_reply(req *r, int status, str text, str content_type)
{
    if (!r->res.h.pool) {
        msg_init(&r->res, &r->pool);
    }
    r->res.status = (uint16_t)status;
    r->res.reason = STR_EMPTY;
    r->has_reply = true;
    r->reply_body = text;
    r->reply_file = NULL;
    r->allows = 0;
    headers_remove_token(&r->res.h, TOKEN_CONTENT_LENGTH);
    headers_remove_token(&r->res.h, TOKEN_TRANSFER_ENCODING);
    if (text.n && (content_type.n || !headers_find(&r->res.h, TOKEN_CONTENT_TYPE))) {
        str type = content_type.n ? content_type : STR("text/plain; charset=utf-8");
        if (headers_set(&r->res.h, STR("Content-Type"), type) < 0) {
            r->close = true; /* cannot happen: the list was just made */
        }
    }
}
