/* grpc.h — what a gateway owes gRPC beyond HTTP/2: its deadlines, and answers that its clients understand
 * (PROTOCOL-HTTP2.md and http-grpc-status-mapping.md of the gRPC project). */
#ifndef FLOW_GRPC_H
#define FLOW_GRPC_H

#include "flow/req.h"

/* Content-Type: application/grpc, +proto and its like included; not grpc-web, which is plain HTTP. */
bool grpc_is(const req *r);
/* Arms the request's total deadline with its grpc-timeout, if that is nearer than what is armed. */
void grpc_arm(req *r);
/* An answer made here becomes one of gRPC: status 200, grpc-status and grpc-message, no body. 0 or ERR_LIMIT. */
MUST_USE int grpc_answer(req *r);
/* "100m", "5S"… in milliseconds, at least 1; 0: malformed. */
int64_t grpc_timeout_ms(str text);
/* The grpc-status of an HTTP status. */
int grpc_status(int http);

#endif
