/* precondition.c — see precondition.h. */
#include "flow/precondition.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "http/conditional.h"
#include "http/date.h"

int64_t precondition_modified(const req *r)
{
    const field *f = headers_may_have(&r->res.h, TOKEN_LAST_MODIFIED) ? headers_find(&r->res.h, TOKEN_LAST_MODIFIED) : NULL;
    int64_t at_s;
    return f && date_parse(f->value, &at_s) == 0 ? at_s : -1;
}

str precondition_etag(const req *r)
{
    const field *f = headers_may_have(&r->res.h, TOKEN_ETAG) ? headers_find(&r->res.h, TOKEN_ETAG) : NULL;
    return f ? f->value : STR_EMPTY;
}

/* RFC 9110 §15.4.5: what describes the body goes, what describes the representation stays. */
static void become_not_modified(req *r)
{
    headers *h = &r->res.h;
    r->res.status = 304;
    r->res.reason = STR_EMPTY;
    r->res.body = MSG_BODY_NONE;
    r->res.length = -1;
    headers_remove_token(h, TOKEN_CONTENT_TYPE);
    headers_remove_token(h, TOKEN_CONTENT_LENGTH);
    headers_remove_token(h, TOKEN_CONTENT_ENCODING);
    headers_remove_token(h, TOKEN_ACCEPT_RANGES);
}

int precondition_check(req *r)
{
    enum { SEEN = 4 };
    static const enum token asked[SEEN] = {TOKEN_IF_MATCH, TOKEN_IF_UNMODIFIED_SINCE, TOKEN_IF_NONE_MATCH, TOKEN_IF_MODIFIED_SINCE};
    bool any = false;
    for (int i = 0; i < SEEN; i++) {
        any = any || headers_may_have(&r->in.h, asked[i]);
    }
    if (!any || r->res.status != 200) {
        return 0;
    }
    struct conditional_args a = {.in = &r->in.h,
                                 .etag = precondition_etag(r),
                                 .modified_s = precondition_modified(r),
                                 .since = r->route ? (enum conditional_since)r->route->c->if_modified_since : CONDITIONAL_RFC};
    int verdict = conditional_check(&a);
    if (verdict == CONDITIONAL_NOT_MODIFIED) {
        become_not_modified(r);
    }
    return verdict == CONDITIONAL_FAILED ? ERR_PRECONDITION : 0;
}
