/* steps.h — the life of a request as a table, read top to bottom: steps.c is the program's table of contents. */
#ifndef FLOW_STEPS_H
#define FLOW_STEPS_H

#include "flow/req.h"

enum req_step {
    STEP_ADMIT, STEP_ROUTE, STEP_REWRITE, STEP_LIMIT, STEP_ACCESS, STEP_MIRROR, STEP_CONTENT, STEP_LOOKUP, STEP_PICK, STEP_LEASE, STEP_SEND, STEP_AWAIT, STEP_REPLY, STEP_STREAM, STEP_FINISH, STEP_LOG, STEP_COUNT
};

/* What a step returns: one of these, a jump (STEP_JUMP | step; must be in its row), or a negative ERR_*. */
enum { STEP_NEXT = 0, STEP_WAIT_NEXT = 1, STEP_WAIT_HERE = 2, STEP_DETACHED = 3, STEP_JUMP = 0x100 };

/* Runs until the request waits or is over. */
void steps_run(req *r);
const char *step_name(enum req_step s);

/* The functions behind the rows; each returns what is said above. */

/* step_request.c, step_route.c */
int step_admit(req *r);
int step_route(req *r);
int step_rewrite(req *r);
int step_access(req *r);
/* limits.c, mirror.c */
int step_limit(req *r);
int step_mirror(req *r);
/* step_content.c */
int step_content(req *r);
int step_lookup(req *r);
/* step_pick.c, step_lease.c, step_send.c, step_await.c */
int step_pick(req *r);
int step_lease(req *r);
int step_send(req *r);
int step_await(req *r);
/* step_reply.c, step_stream.c, step_finish.c */
int step_reply(req *r);
int step_stream(req *r);
int step_finish(req *r);
int step_log(req *r);

#endif
