/* precondition.h — a whole representation that is about to be sent, and the client's If-* fields: 304, 412, or on. */
#ifndef FLOW_PRECONDITION_H
#define FLOW_PRECONDITION_H

#include "flow/req.h"

/* For an answer with REQ_ALLOWS_CONDITIONS, before our own fields are added. 0 (r->res may have become a 304), or ERR_PRECONDITION. */
MUST_USE int precondition_check(req *r);
/* Last-Modified of the answer in seconds, -1: none. And its ETag, empty: none. */
int64_t precondition_modified(const req *r);
str precondition_etag(const req *r);

#endif
