/* upload.h — moves the request body to the upstream, during await and stream alike, with back-pressure both ways. */
#ifndef FLOW_UPLOAD_H
#define FLOW_UPLOAD_H

#include "flow/req.h"

/* What the upstream is told: >= 0 bytes, -1 chunked, -2 no body. */
int64_t upload_length(const req *r);
/* After the head: takes what is here of the body, so that both go out together with upload_run. 0, or the client's error. */
MUST_USE int upload_begin(req *r);
/* 0: everything is written; ERR_AGAIN (r->upload_on_client tells on whom it waits); ERR_UPSTREAM_CLOSED: the upstream takes no more; other < 0: the client's
 * error. */
MUST_USE int upload_run(req *r);

#endif
