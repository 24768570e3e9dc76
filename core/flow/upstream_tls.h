/* upstream_tls.h — TLS settings that a route has for its upstream: one context, or one for each client certificate that requests choose. */
#ifndef FLOW_UPSTREAM_TLS_H
#define FLOW_UPSTREAM_TLS_H

#include "flow/req.h"
#include "tls/ctx.h"

struct conf_tlsclient;
struct upstream_tls;

/* NULL with a text in err. Lives in the plan's pool. */
MUST_USE struct upstream_tls *upstream_tls_new(plan *p, const route *rt, const struct conf_tlsclient *c, char *err, size_t errcap);
/* The context for this request (borrowed, as long as the request); NULL: there is none, the reason is in the log. */
tls_client *upstream_tls_context(const struct upstream_tls *t, req *r);
/* The name to verify and to send, without a port. */
str upstream_tls_name(const struct upstream_tls *t, req *r);
bool upstream_tls_resumes(const struct upstream_tls *t);

#endif
