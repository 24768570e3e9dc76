/* plan_logs.h — the logs of a plan: opened together, found by the routes. */
#ifndef FLOW_PLAN_LOGS_H
#define FLOW_PLAN_LOGS_H

#include "flow/plan.h"

typedef struct loop loop;
struct access_log;

/* Room for the route's logs, and its error logs. */
void plan_logs_route(plan *p, route *rt);
/* Makes p->logs and checks what it will hold, without opening anything. 0, or ERR_CONF with a text in err. */
MUST_USE int plan_logs_check(plan *p, char *err, size_t errcap);
MUST_USE int plan_logs_open(plan *p, loop *l, char *err, size_t errcap);
/* `logs`: those of the plan as they once were. */
void plan_logs_close(const plan *p, struct access_log **logs);
/* Opened: the route's from now on. */
void plan_logs_bind(plan *p, route *rt);

#endif
