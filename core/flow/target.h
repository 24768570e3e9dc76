/* target.h — where an exchange goes when only the request says so: a URL made by a template, and what is asked there. */
#ifndef FLOW_TARGET_H
#define FLOW_TARGET_H

#include "base/str.h"

struct req;

/* Evaluates the route's target: r->group (an upstream of that name, else a group made for the address) and r->errand. 0 or < 0. */
MUST_USE int target_evaluate(struct req *r);
/* The request target to send upstream. */
str target_uri(struct req *r);
/* For any route: host and port as its URL says them ($proxy_host), else the group's name. */
str target_host(const struct req *r);

#endif
