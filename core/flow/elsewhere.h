/* elsewhere.h — answers of an upstream that send the request elsewhere: X-Accel-Redirect, and errors that the route has pages for. */
#ifndef FLOW_ELSEWHERE_H
#define FLOW_ELSEWHERE_H

#include "base/attr.h"

struct req;

/* After the upstream's head came, where the route has an exchange. 0: the answer is for the client; else what the step returns. */
MUST_USE int elsewhere(struct req *r);

#endif
