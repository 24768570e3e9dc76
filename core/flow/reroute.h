/* reroute.h — internal redirects: the one mechanism behind error pages, named routes and whatever else sends a request on to another URI without telling the client. At most REROUTES_MAX of
 * them, rewrites that change the URI and reroutes of hooks included, per request.
 *
 * All functions are for steps before the head is sent, and return what the step returns: STEP_JUMP | step, or ERR_LOOP and the like. What the request had got so far, an upstream or an
 * answer, is dropped; a Location set for a redirect stays (an error page for 302 keeps it). */
#ifndef FLOW_REROUTE_H
#define FLOW_REROUTE_H

#include "flow/req.h"

struct conf_errorpages;
typedef struct error_pages error_pages;

enum { REROUTES_MAX = 10 };

/* To a path (decoded; bytes live as long as the request) with these arguments (empty: none). */
MUST_USE int reroute_uri(req *r, str path, str args);
/* The same for text as it stands in a configuration: "/path?args". */
MUST_USE int reroute_text(req *r, str text);
/* To a named route of the site, "@name" with the at sign. The URI stays. */
MUST_USE int reroute_named(req *r, str name);
/* After a rewrite changed the URI: the route is chosen anew. */
MUST_USE int reroute_again(req *r);
/* The request ends with this status: to the route's error page for it. 0: there is none, the caller answers. */
MUST_USE int reroute_error(req *r, int status);
bool reroute_has_error(const req *r, int status);

/* Compiled into the pool; NULL with a text in err. */
MUST_USE error_pages *error_pages_new(const struct conf_errorpages *c, const struct route *rt, pool *p, char *err, size_t errcap);

#endif
