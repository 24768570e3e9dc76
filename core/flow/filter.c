/* filter.c — see filter.h. */
#include "flow/filter.h"

#include "conf/conf.h"
#include "flow/filter_addition.h"
#include "flow/filter_charset.h"
#include "flow/filter_compress.h"
#include "flow/filter_range.h"
#include "flow/filter_rate.h"
#include "flow/filter_refresh.h"
#include "flow/filter_replace.h"
#include "flow/filter_ssi.h"
#include "flow/filter_store.h"
#include "flow/filter_trailers.h"
#include "flow/plan.h"

static const struct filter *const table[FILTER_COUNT] = {
    [FILTER_REFRESH] = &filter_refresh,
    [FILTER_STORE] = &filter_store,
    [FILTER_GUNZIP] = &filter_gunzip,
    [FILTER_ADDITION] = &filter_addition,
    [FILTER_REPLACE] = &filter_replace,
    [FILTER_CHARSET] = &filter_charset,
    [FILTER_SSI] = &filter_ssi,
    [FILTER_COMPRESS] = &filter_compress,
    [FILTER_RANGE] = &filter_range,
    [FILTER_RATE] = &filter_rate,
    [FILTER_TRAILERS] = &filter_trailers,
};

uint32_t filter_mask(const route *rt)
{
    uint32_t mask = 0;
    for (int i = 0; i < FILTER_COUNT; i++) {
        if (table[i] && table[i]->wants && table[i]->wants(rt)) {
            mask |= 1u << i;
        }
    }
    return mask;
}

uint32_t filter_wanted(const req *r)
{
    return (r->filters | (r->route ? r->route->filters : 0)) & ~(uint32_t)r->filters_off;
}

int filter_heads(req *r)
{
    uint32_t wanted = filter_wanted(r);
    for (int i = 0; i < FILTER_COUNT; i++) {
        if (!(wanted & (1u << i)) || !table[i]) {
            continue;
        }
        int rc = table[i]->head(r);
        if (rc < 0) {
            return rc;
        }
        if (rc > 0) {
            r->filters_on |= (uint16_t)(1u << i);
        }
    }
    return 0;
}

sink *filter_sinks(req *r, sink *next, bool behind_spool)
{
    int first = behind_spool ? FILTER_BEHIND_SPOOL : 0;
    int end = behind_spool ? FILTER_COUNT : FILTER_BEHIND_SPOOL;
    for (int i = end - 1; i >= first; i--) {
        if ((r->filters_on & (1u << i)) && table[i]->body) {
            next = table[i]->body(r, next);
        }
    }
    return next;
}

bool filter_has_body(const req *r)
{
    const msg *m = &r->res;
    return m->body != MSG_BODY_NONE && m->status != 206 && !(m->body == MSG_BODY_LENGTH && m->length == 0);
}

bool filter_is_type(const struct conf_strs *types, str type, str always)
{
    str plain = str_trim(str_of(type.p, str_find(type, ';', 0)));
    bool yes = always.n && str_ieq(plain, always);
    for (int i = 0; i < types->n && !yes; i++) {
        yes = str_eq(types->v[i], STR("*")) || str_ieq(types->v[i], plain);
    }
    return yes;
}

void filter_weaken_etag(req *r)
{
    field *f = headers_may_have(&r->res.h, TOKEN_ETAG) ? headers_find(&r->res.h, TOKEN_ETAG) : NULL;
    if (!f || str_has_prefix(f->value, STR("W/"))) {
        return;
    }
    if (f->value.n < 2 || f->value.p[0] != '"') {
        headers_remove_token(&r->res.h, TOKEN_ETAG); /* not a tag that could be weak */
        return;
    }
    const str parts[2] = {STR("W/"), f->value};
    f->value = pool_join(&r->pool, parts, 2);
}

void filter_new_body(req *r)
{
    msg *m = &r->res;
    headers_remove_token(&m->h, TOKEN_CONTENT_LENGTH);
    headers_remove_token(&m->h, TOKEN_ACCEPT_RANGES);
    r->allows &= (uint8_t)~REQ_ALLOWS_RANGES;
    filter_weaken_etag(r);
    if (m->body == MSG_BODY_LENGTH) {
        m->body = MSG_BODY_CHUNKED;
        m->length = -1;
    }
}
