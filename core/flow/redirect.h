/* redirect.h — Location fields of our own answers. */
#ifndef FLOW_REDIRECT_H
#define FLOW_REDIRECT_H

#include "base/str.h"

struct req;

/* `to` as the route wants it sent: a path becomes a URL with the request's scheme, host and the local port when the route says
 * absolute_redirect. In the request's pool, or `to` itself. */
str redirect_target(struct req *r, str to);
/* Makes the answer `status` with Location: `to`. 0, or ERR_BAD_TARGET when `to` may not stand in a field. */
MUST_USE int redirect_reply(struct req *r, int status, str to);
/* The answer to "/x" where a route "/x/" redirects: the route's own path, and the query. */
MUST_USE int redirect_to_slash(struct req *r);

#endif
