/* error.c — the only place that turns an error code into a response, and the only place that logs it. */
#include "flow/error.h"

#include "back/group.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/body.h"
#include "flow/plan.h"
#include "flow/reroute.h"
#include "flow/signature.h"
#include "flow/steps.h"
#include "http/status.h"

#include <stdarg.h>
#include <stdio.h>


static bool is_nginx(const req *r)
{
    return r->route && r->route->c->signature != CONF_SIGNATURE_MOONGATE;
}

static bool repeats_expect(const headers *h)
{
    const field *f = headers_find(h, TOKEN_EXPECT);
    return f && headers_next(h, f);
}

/* Codes that nginx's dialect answers in its own way; 494 and 497 are told apart by error pages and sent as 400. */
static int nginx_status(const req *r, int err)
{
    switch (err) {
    case ERR_BAD_METHOD:
        return r->in.method == METHOD_CONNECT || r->in.method == METHOD_TRACE ? 405 : 0;
    case ERR_HEAD_TOO_LARGE:
        return 494;
    case ERR_EXPECT:
        return repeats_expect(&r->in.h) ? 400 : 0;
    case ERR_PLAIN_ON_TLS:
        return 497;
    case ERR_LIMIT:
        return 500;
    default:
        return 0;
    }
}

/* The status of a code depends a little on whose fault it was: a timeout of the client is 408, of the upstream 504. */
static int status_of(const req *r, int err)
{
    if (err == ERR_TIMEOUT && r->step < STEP_PICK) {
        return 408;
    }
    if (is_nginx(r)) {
        int own = nginx_status(r, err);
        if (own) {
            return own;
        }
    }
    int status = err_status(err);
    return status >= 400 ? status : 500;
}

int error_answer(req *r, int status)
{
    int to = reroute_error(r, status);
    if (to > 0) {
        return to;
    }
    if (to < 0) {
        r->err_status = 500;
    }
    msg_init(&r->res, &r->pool);
    r->error_page = true;
    r->allows = 0;
    r->reply_stage = 0; /* a head that was being prepared is dropped */
    req_reply(r, r->err_status, signature_page(r, to < 0 ? 500 : status), STR("text/html"));
    return STEP_JUMP | STEP_REPLY;
}

int error_reply(req *r, int err)
{
    int status = status_of(r, err);
    req_log_error(r, err, status);
    int to = error_answer(r, status);
    if (err == ERR_CLIENT_TIMEOUT || (r->body && !body_is_consumed(r) && status == 413)) {
        r->close = true;
    }
    return to;
}

int error_silence(req *r, int err)
{
    if (err == ERR_NO_ANSWER) {
        return 444;
    }
    if (err != ERR_CLIENT_TIMEOUT || !is_nginx(r)) {
        return 0;
    }
    req_log_error(r, err, 408);
    return 408;
}

int error_status(req *r, int status)
{
    if (status >= 300 && !status_has_no_body(status)) {
        return error_answer(r, status);
    }
    if (!r->res.h.pool) {
        msg_init(&r->res, &r->pool);
    }
    req_reply(r, status, STR_EMPTY, STR_EMPTY);
    return STEP_JUMP | STEP_REPLY;
}
