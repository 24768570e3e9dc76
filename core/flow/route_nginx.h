/* route_nginx.h — which route takes a path by nginx's rules; the tables of sites with match = nginx.
 *
 * Routes nest (conf_route.parent), and each level is searched like this:
 *   1. an exact path ends the search, and so does "/x" where "/x/" redirects (slash_redirect);
 *   2. the longest prefix is remembered, and the level inside it is searched;
 *   3. unless that ended the search or the prefix says no_regex, the level's regexes are tried in
 *      file order; the first that matches wins, or what the level inside it finds.
 * Named and inner routes are not found by a path. */
#ifndef FLOW_ROUTE_NGINX_H
#define FLOW_ROUTE_NGINX_H

#include "base/pool.h"
#include "base/str.h"

struct req;
struct route;
typedef struct route_nginx route_nginx;

/* Of the n routes of a site; everything lives in the pool. NULL with "file:line: what" in err. */
MUST_USE route_nginx *route_nginx_new(struct route *routes, int n, pool *p, char *err, size_t errcap);
/* The route of r->path; NULL: none. Fills r->captures when a regex matched. *failed: a regex hit its limits; nothing may take the
 * request then. */
const struct route *route_nginx_find(const route_nginx *t, struct req *r, bool *failed);

#endif
