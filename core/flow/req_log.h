/* req_log.h — lines of the error log that are about a request: they go where its route says, and say whose request it was. */
#ifndef FLOW_REQ_LOG_H
#define FLOW_REQ_LOG_H

#include "base/log.h"
#include "flow/req.h"

/* What is said, then client, server, request line, upstream (when one was tried) and host. */
void req_log(const req *r, enum log_level level, const char *format, ...) PRINTF(3, 4);
/* Would a line of this level be written? For what is costly to say. */
bool req_log_wants(const req *r, enum log_level level);
/* The error logs of a route, in `p`; NULL: it names none. */
struct conf_gateway;
struct conf_route;
const log_set *req_log_set(const struct conf_gateway *g, const struct conf_route *c, pool *p);
/* An attempt at an upstream failed, which need not be the end of the request. */
void req_log_attempt(const req *r, int err);
/* The request is answered with `status` because of `err`. */
void req_log_error(const req *r, int err, int status);

#endif
