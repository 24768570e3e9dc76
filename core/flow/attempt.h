/* attempt.h — attempts at an upstream: begun, ended exactly once (that tells the peer's passive health), judged in one place.
 * The steps that make them are step_pick.c to step_await.c. */
#ifndef FLOW_ATTEMPT_H
#define FLOW_ATTEMPT_H

#include "back/retry.h"
#include "flow/req.h"

/* The one under way, or the last; there is one. */
attempt *attempt_now(req *r);
/* Takes the pick's reference of `p`. */
void attempt_new(req *r, struct peer *p);
/* nginx's dialect: nobody could be asked; it counts as an attempt at the group itself. */
void attempt_refused(req *r);
/* The head of the response is here. */
void attempt_heard(attempt *a);
/* Its accounting; later calls for the same attempt do nothing. failed: counts against the peer. */
void attempt_end(req *r, int err, bool failed);
/* May it be repeated, after `err`, or a response with `status`? */
enum retry_verdict attempt_judge(req *r, int err, int status);
/* A response came whose status the route may count as a failure. True: the attempt is over and will be repeated. */
bool attempt_status_fails(req *r, int status);
/* Ends the fetch without an answer made of it: what its head said stays readable ($upstream_http_NAME). */
void attempt_let_go(req *r);
/* What the log says of it. */
void attempt_broken(const req *r, int err);
/* What the route's exchange (errand.h; there is one) makes of this one: see errand_prepare, errand_passes_interim. */
MUST_USE int attempt_prepare(req *r);
/* Attempts that this route has made so far, and the first of them: what a redirect left behind does not count. */
int attempt_count(const req *r);
int attempt_first(const req *r);
bool attempt_passes_interim(req *r);
/* The attempt failed: the next row to run (a jump to pick), or the error that the client gets. */
int attempt_failed(req *r, int err);

#endif
