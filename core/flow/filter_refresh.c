/* filter_refresh.c — see filter_refresh.h. */
#include "flow/filter_refresh.h"

#include "conf/conf.h"
#include "flow/plan.h"

static bool wants(const route *rt)
{
    return rt->c->msie_refresh;
}

static bool is_msie(const req *r)
{
    enum { SHORTEST = 8 }; /* "MSIE x.y" */
    str ua = headers_joined(&r->in.h, STR("user-agent"));
    size_t at = str_search(ua, STR("MSIE "));
    return at < ua.n && ua.n - at >= SHORTEST;
}

/* The address stands in an attribute and in a URL of its own. */
static str escape(str to, pool *p)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = pool_alloc(p, to.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < to.n; i++) {
        unsigned char c = (unsigned char)to.p[i];
        if (c > ' ' && c < 0x7f && !strchr("\"'<>\\", c)) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return str_of(out, n);
}

static int head(req *r)
{
    msg *m = &r->res;
    const field *to = r->has_reply && (m->status == 301 || m->status == 302) && !r->sub ? headers_get(&m->h, STR("Location")) : NULL;
    if (!to || !is_msie(r)) {
        return 0;
    }
    const str parts[3] = {STR("<html><head><meta http-equiv=\"Refresh\" content=\"0; URL="), escape(to->value, &r->pool),
                          STR("\"></head><body></body></html>\r\n")};
    r->reply_body = pool_join(&r->pool, parts, 3);
    headers_remove(&m->h, STR("Location"));
    m->status = 200;
    m->reason = STR_EMPTY;
    m->length = (int64_t)r->reply_body.n;
    return 0;
}

const struct filter filter_refresh = {.name = "refresh", .wants = wants, .head = head, .body = NULL};
