/* retouch.h — what becomes of Location, Refresh and Set-Cookie on the way to the client. */
#ifndef FLOW_RETOUCH_H
#define FLOW_RETOUCH_H

#include "flow/req.h"

struct retouch;

/* Compiles the redirects and cookies of the route's exchange. NULL with a text in err. */
MUST_USE struct retouch *retouch_new(plan *p, route *rt, char *err, size_t errcap);
/* Changes the fields of r->res. */
void retouch_apply(const struct retouch *t, req *r);

#endif
