/* route_regex.h — regexes in file order, of which only those are run whose literal beginning a path
 * has: a thousand patterns such as ^/app/17/.*\.js$ cost a walk through a tree and one match. */
#ifndef FLOW_ROUTE_REGEX_H
#define FLOW_ROUTE_REGEX_H

#include "base/pool.h"
#include "base/regex.h"
#include "base/str.h"

struct route;
typedef struct route_regexes route_regexes;
struct regex_spot;

/* What one path leaves to be run. */
struct regex_walk {
    const struct regex_spot *plain, *folded;
};

route_regexes *route_regexes_new(pool *p);
/* Compiles the pattern of rt into rt->re. Routes come by rank, lowest first. ERR_CONF with a text. */
MUST_USE int route_regexes_add(route_regexes *t, struct route *rt, char *err, size_t errcap);
/* After the last one. */
void route_regexes_seal(route_regexes *t);
bool route_regexes_has_any(const route_regexes *t);
/* False: none of them can match. */
bool route_regexes_walk(const route_regexes *t, str path, struct regex_walk *w);
/* The one of lowest rank that is at least `from`, not run yet; NULL: none is left. */
const struct route *route_regexes_next(const struct regex_walk *w, uint32_t from);
/* Compiles a pattern that lives as long as the pool; NULL with a text in err. */
MUST_USE regex *route_regex(pool *p, str pattern, bool caseless, char *err, size_t errcap);

#endif
