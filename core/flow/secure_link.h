/* secure_link.h — links that somebody signed with a secret, with a time at which they end. Behind $secure_link and $secure_link_expires. */
#ifndef FLOW_SECURE_LINK_H
#define FLOW_SECURE_LINK_H

#include "base/attr.h"

#include <stddef.h>

typedef struct plan plan;
typedef struct route route;
struct secure_link;

/* Of a route; *out NULL: links are not looked at. 0, or ERR_CONF with a text in err. */
MUST_USE int secure_link_compile(plan *p, const route *rt, struct secure_link **out, char *err, size_t errcap);

#endif
