/* step_send.c — the rebuilt request head goes out; the body follows while the response is awaited. */
#include "base/err.h"
#include "flow/attempt.h"
#include "flow/forward.h"
#include "flow/steps.h"
#include "flow/upload.h"

int step_send(req *r)
{
    int64_t length = upload_length(r);
    r->fetch.chunked_upload = length == -1 && !r->fetch.h2; /* HTTP/2 has frames of its own */
    r->fetch.upload_done = length == -2 || length == 0;
    int rc = forward_request(r, length);
    if (rc < 0) {
        return attempt_failed(r, rc == ERR_HEAD_TOO_LARGE ? rc : ERR_UPSTREAM_CLOSED);
    }
    return LIKELY(r->fetch.upload_done) ? STEP_NEXT : upload_begin(r);
}
