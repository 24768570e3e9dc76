/* step_funcs.h — the functions behind the rows of steps.c; each returns what steps.h says. */
#ifndef FLOW_STEP_FUNCS_H
#define FLOW_STEP_FUNCS_H

#include "flow/req.h"

/* step_request.c */
int step_admit(req *r);
int step_route(req *r);
int step_rewrite(req *r);
int step_access(req *r);
/* step_content.c */
int step_content(req *r);
int step_lookup(req *r);
/* step_proxy.c */
int step_pick(req *r);
int step_lease(req *r);
int step_send(req *r);
int step_await(req *r);
/* step_reply.c */
int step_reply(req *r);
int step_stream(req *r);
int step_finish(req *r);
int step_log(req *r);

#endif
