/* error.h — the only place that turns an error code into a response. */
#ifndef FLOW_ERROR_H
#define FLOW_ERROR_H

#include "flow/req.h"

/* Fills r->res and r->reply_body for `err`; logs it with the request's id at the right level. A client gone (499) makes none. */
void error_reply(req *r, int err);
/* A small HTML page for a status, in static memory. */
str error_page(int status);

#endif
