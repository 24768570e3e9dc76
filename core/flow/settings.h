/* settings.h — what a route says about its answers, compiled with the plan: files and media types, expiry, filters,
 * limits and access, rewrites and error pages. */
#ifndef FLOW_SETTINGS_H
#define FLOW_SETTINGS_H

#include "flow/plan.h"

struct settings_args {
    plan *plan;
    char *err;
    size_t errcap;
};

/* Once, before the routes. */
void settings_compile_shared(const struct settings_args *a);
/* After the route's pattern was compiled. 0, or ERR_CONF with a text. */
MUST_USE int settings_compile(const struct settings_args *a, route *rt);

#endif
