/* signature.h — what we call ourselves in answers: the Server field, the foot of error pages, and the words beside a status. In nginx's
 * dialect they are nginx's, because scripts and people match them. */
#ifndef FLOW_SIGNATURE_H
#define FLOW_SIGNATURE_H

#include "base/str.h"

struct req;

/* Server and Date, and the reason phrase of an answer of ours. 0 or what headers_add_token says. */
MUST_USE int signature_put(struct req *r);
/* A small HTML page for a status, in static memory. Statuses 494 to 497 are nginx's own: they are sent as 400. */
str signature_page(const struct req *r, int status);

#endif
