/* error.h — the only place that turns an error code into a response. */
#ifndef FLOW_ERROR_H
#define FLOW_ERROR_H

#include "flow/req_log.h"

/* Fills r->res and r->reply_body for `err`; logs it with the request's id at the right level. A client gone (499) makes none.
 * The route may have an error page for it: returns what a step returns, STEP_JUMP | the step that goes on. */
int error_reply(req *r, int err);
/* The same for a status that a rule of the configuration wants (limits, access); nothing is logged. */
int error_answer(req *r, int status);
/* An answer that is only a status, with its page; fields already in r->res.h are kept. The jump. */
MUST_USE int error_status(req *r, int status);
/* An error that ends the request without an answer: the status it is logged with, and the line in the error log. 0: it is answered. In nginx's dialect a client that was too slow
 * with its request is one. */
int error_silence(req *r, int err);

#endif
