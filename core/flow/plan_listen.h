/* plan_listen.h — compiles a listener: the sites it serves by name, and its TLS contexts. */
#ifndef FLOW_PLAN_LISTEN_H
#define FLOW_PLAN_LISTEN_H

#include "base/attr.h"

#include <stddef.h>

struct conf_listen;
struct plan;
struct plan_listen;

/* After the plan's sites. 0 or ERR_CONF with a text in err. */
MUST_USE int plan_listen_compile(struct plan *p, const struct conf_listen *c, struct plan_listen *l, char *err, size_t errcap);

#endif
