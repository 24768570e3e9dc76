/* nobody.c — see nobody.h. The request keeps its deadlines, so that it ends as it would have with its client. */
#include "flow/nobody.h"

#include "base/err.h"
#include "flow/body.h"
#include "flow/exchange_impl.h"
#include "flow/steps.h"
#include "flow/var.h"
#include "http/sink.h"

static int send_info(req *r, const msg *info)
{
    (void)r;
    (void)info;
    return 0;
}

static int send_head(req *r, bool last)
{
    (void)r;
    (void)last;
    return 0;
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    (void)sk;
    (void)flags;
    bufq_clear(q);
    return 0;
}

static void on_abort(sink *sk, int err)
{
    (void)sk;
    (void)err;
}

static sink *body_sink(req *r)
{
    static const struct sink_ops ops = {.push = push, .abort = on_abort};
    static sink hole = {&ops};
    (void)r;
    return &hole;
}

static ssize_t read_body(req *r, bufq *q, size_t max)
{
    (void)r;
    (void)q;
    (void)max;
    return ERR_CLIENT_GONE;
}

static int flush(req *r)
{
    (void)r;
    return 0;
}

static void done(req *r)
{
    (void)r;
}

static const struct proto_ops nobody = {
    .name = "nobody",
    .send_info = send_info,
    .send_head = send_head,
    .body_sink = body_sink,
    .read_body = read_body,
    .flush = flush,
    .done = done,
};

bool nobody_takes_over(req *r)
{
    const struct exchange *x = r->route ? r->route->exchange : NULL;
    bool asking = r->step >= STEP_PICK && r->step <= STEP_AWAIT && !r->head_sent;
    if (!x || !x->c->ignore_abort || !asking || r->sub || !r->proto || !body_is_consumed(r)) {
        return false;
    }
    var_leave_connection(r);
    r->proto = &nobody;
    r->conn = NULL;
    r->close = true;
    return true;
}
