/* route.h — which route takes a request: one table per site, compiled from its routes, whose cost
 * does not grow with their number.
 *
 * The most specific route wins, whatever the order in the file:
 *   1. an exact path;
 *   2. ":name" patterns: more literal segments first, then one without a final "/ *", then the one
 * whose literal segments come first;
 *   3. regexes, in file order;
 *   4. the longest prefix.
 * Among routes of the same pattern those with more `when` matchers come first, then those with
 * fewer methods, then file order. A route whose methods or matchers do not fit is passed over for
 * the next candidate in this order; a route for GET takes HEAD too. The site's fallback takes what
 * is left (the caller's step).
 *
 * How: one radix tree holds exact paths, prefixes and the literal beginnings of the regexes, so a
 * single walk over the path finds all three and only regexes whose beginning matches are run;
 * caseless regexes have a tree of folded beginnings; ":name" patterns a tree with wild edges. A
 * regex that hits the match limits ends the search: no route is better than one that was meant for
 * something else. */
#ifndef FLOW_ROUTE_H
#define FLOW_ROUTE_H

#include "base/pool.h"

struct req;
typedef struct route route;
typedef struct route_table route_table;

/* Of the site's routes (pattern, regex, methods and matchers are compiled here); everything lives
 * in the pool. NULL with "file:line: what" in err: a bad pattern, or two routes that tie. */
MUST_USE route_table *route_table_new(route *routes, int n, pool *p, char *err, size_t errcap);
enum { ROUTE_FAILED = 1 << 30 };
/* The route of r->path, r->in and r->query, or NULL. Fills r->captures and r->capture_subject
 * (regex) or r->params (":name"). Nothing is allocated but the captures, in r->pool. *allowed: when
 * NULL comes back only because of methods, those that would have been taken (mask of 1 << enum
 * method) for a 405 with Allow; ROUTE_FAILED when a regex hit its limits: then not even the fallback, which is the
 * caller's, may take the request; else 0. */
const route *route_find(const struct route_table *t, struct req *r, uint32_t *allowed);

struct site;
/* The named route of a site (of either kind), or NULL. `name` as it stands in the file, with its "@". */
const route *route_named(const struct site *s, str name);

#endif
