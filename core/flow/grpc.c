/* grpc.c — see grpc.h. */
#include "flow/grpc.h"

#include "base/err.h"
#include "base/fmt.h"
#include "http/status.h"

enum { OK, UNKNOWN = 2, DEADLINE = 4, DENIED = 7, EXHAUSTED, UNIMPLEMENTED = 12, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 16 };
enum { DIGITS_MAX = 8 }; /* of a grpc-timeout */

bool grpc_is(const req *r)
{
    const field *f = headers_may_have(&r->in.h, TOKEN_CONTENT_TYPE) ? headers_find(&r->in.h, TOKEN_CONTENT_TYPE) : NULL;
    str kind = STR("application/grpc");
    return f && str_has_iprefix(f->value, kind) && (f->value.n == kind.n || f->value.p[kind.n] == '+' || f->value.p[kind.n] == ';');
}

int64_t grpc_timeout_ms(str text)
{
    uint64_t n;
    if (text.n < 2 || text.n > DIGITS_MAX + 1 || str_to_u64(str_of(text.p, text.n - 1), &n) < 0) {
        return 0;
    }
    int64_t v = (int64_t)n, ms = 0;
    switch (text.p[text.n - 1]) {
    case 'H':
        ms = v * 3600000;
        break;
    case 'M':
        ms = v * 60000;
        break;
    case 'S':
        ms = v * 1000;
        break;
    case 'm':
        ms = v;
        break;
    case 'u':
        ms = v / 1000;
        break;
    case 'n':
        ms = v / 1000000;
        break;
    default:
        return 0;
    }
    return ms > 0 ? ms : 1;
}

void grpc_arm(req *r)
{
    const field *f = headers_get(&r->in.h, STR("grpc-timeout"));
    int64_t ms = f ? grpc_timeout_ms(f->value) : 0;
    if (ms && !timer_is_set(&r->total)) {
        timer_set(r->l, &r->total, ms);
    }
}

int grpc_status(int http)
{
    switch (http) {
    case 200:
        return OK;
    case 400:
    case 431:
        return INTERNAL;
    case 401:
        return UNAUTHENTICATED;
    case 403:
        return DENIED;
    case 404:
    case 405:
    case 415:
        return UNIMPLEMENTED;
    case 408:
    case 504:
        return DEADLINE;
    case 413:
    case 429:
        return EXHAUSTED;
    case 500:
    case 501:
        return INTERNAL;
    case 502:
    case 503:
        return UNAVAILABLE;
    default:
        return UNKNOWN;
    }
}

int grpc_answer(req *r)
{
    int http = r->res.status;
    char *code = pool_alloc(&r->pool, 4);
    fmt f = fmt_of(code, 4);
    fmt_u64(&f, (uint64_t)grpc_status(http));
    r->res.status = 200;
    r->reply_body = STR_EMPTY;
    headers *h = &r->res.h;
    headers_remove_token(h, TOKEN_CONTENT_LENGTH);
    int rc = headers_set(h, STR("Content-Type"), STR("application/grpc"));
    rc = rc < 0 ? rc : headers_set(h, STR("grpc-status"), fmt_str(&f));
    return rc < 0 || http == 200 ? rc : headers_set(h, STR("grpc-message"), status_reason(http));
}
