/* filter_replace.h — texts in an answer that are replaced by others. */
#ifndef FLOW_FILTER_REPLACE_H
#define FLOW_FILTER_REPLACE_H

#include "flow/filter.h"
#include "flow/plan.h"

extern const struct filter filter_replace;

/* Of a route; *out NULL: nothing is replaced. 0, or ERR_CONF with a text in err. */
MUST_USE int filter_replace_compile(plan *p, const route *rt, struct replace_rules **out, char *err, size_t errcap);

#endif
