/* filter_charset.h — the charset that Content-Type names, and texts recoded into it. */
#ifndef FLOW_FILTER_CHARSET_H
#define FLOW_FILTER_CHARSET_H

#include "flow/filter.h"
#include "flow/plan.h"

extern const struct filter filter_charset;

/* Of a route; *out NULL: nothing is said of charsets. 0, or ERR_CONF with a text in err. */
MUST_USE int filter_charset_compile(plan *p, const route *rt, struct charset_rules **out, char *err, size_t errcap);

#endif
