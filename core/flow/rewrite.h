/* rewrite.h — rewrite ops of a route: set, if, rewrite, return, break, compiled from route.rewrites and run in order before the hooks of the route (those of the site's fallback before a
 * route is chosen). A route without any has a NULL pointer. */
#ifndef FLOW_REWRITE_H
#define FLOW_REWRITE_H

#include "base/pool.h"

struct req;
struct route;
struct conf_rewriteops;
typedef struct rewrites rewrites;

struct rewrite_making {
    struct route *rt;     /* whose ops they are */
    struct route *routes; /* of its site */
    int nroutes;
    pool *pool;
    char *err;
    size_t cap;
};

/* NULL with "file:line: what" in err. */
MUST_USE rewrites *rewrites_new(const struct rewrite_making *m, const struct conf_rewriteops *c);
/* STEP_NEXT: go on (r->uri_changed: with another URI, r->route may be another); STEP_JUMP | step; < 0. */
MUST_USE int rewrite_run(struct req *r, const rewrites *w);

#endif
