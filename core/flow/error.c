/* error.c — the only place that turns an error code into a response, and the only place that logs it. */
#include "flow/error.h"

#include "back/group.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/body.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "http/status.h"

#include <stdarg.h>
#include <stdio.h>

enum { PAGE_MAX = 512 };

/* Filled on first use per status; a page is static from then on. */
static struct {
    char text[PAGE_MAX];
    uint16_t n, status;
} pages[64];

str error_page(int status)
{
    size_t i = (size_t)status % ARRAY_LEN(pages);
    if (pages[i].status != status) {
        str reason = status_reason(status);
        int n = snprintf(pages[i].text, PAGE_MAX,
                         "<html>\r\n<head><title>%d %.*s</title></head>\r\n<body>\r\n<center><h1>%d %.*s</h1></center>\r\n"
                         "<hr><center>moongate</center>\r\n</body>\r\n</html>\r\n",
                         status, STR_ARG(reason), status, STR_ARG(reason));
        pages[i].n = (uint16_t)(n < PAGE_MAX ? n : PAGE_MAX - 1);
        pages[i].status = (uint16_t)status;
    }
    return str_of(pages[i].text, pages[i].n);
}

/* The status of a code depends a little on whose fault it was: a timeout of the client is 408, of the upstream 504. */
static int status_of(const req *r, int err)
{
    if (err == ERR_TIMEOUT && r->step < STEP_PICK) {
        return 408;
    }
    int status = err_status(err);
    return status >= 400 ? status : 500;
}

void error_answer(req *r, int status)
{
    msg_init(&r->res, &r->pool);
    r->error_page = true;
    r->allows = 0;
    r->reply_stage = 0; /* a head that was being prepared is dropped */
    req_reply(r, status, error_page(status), STR("text/html"));
}

void error_reply(req *r, int err)
{
    int status = status_of(r, err);
    req_log_error(r, err, status);
    error_answer(r, status);
    if (err == ERR_CLIENT_TIMEOUT || (r->body && !body_is_consumed(r) && status == 413)) {
        r->close = true;
    }
}

int error_status(req *r, int status)
{
    bool bare = status < 300 || status_has_no_body(status);
    if (!r->res.h.pool) {
        msg_init(&r->res, &r->pool);
    }
    r->error_page = status >= 400;
    req_reply(r, status, bare ? STR_EMPTY : error_page(status), bare ? STR_EMPTY : STR("text/html"));
    return STEP_JUMP | STEP_REPLY;
}
