/* answer.c — see answer.h. What the upstream sent is kept as it is ($upstream_http_*); the client's list is its own. */
#include "flow/answer.h"

#include "back/group.h"
#include "base/err.h"
#include "base/mem.h"
#include "flow/errand.h"
#include "flow/exchange_impl.h"
#include "flow/filter_rate.h"
#include "flow/signature.h"
#include "flow/tmpl.h"

static inline bool mask_has(const uint64_t m[2], unsigned token)
{
    return (m[token >> 6] >> (token & 63)) & 1;
}

/* Location and Refresh that name the upstream are mapped back to what the client sees. */
static void map_location(req *r, field *f)
{
    str v = f->value;
    size_t skip = str_has_iprefix(v, STR("http://")) ? 7 : str_has_iprefix(v, STR("https://")) ? 8 : 0;
    if (!skip) {
        return;
    }
    str rest = str_from(v, skip);
    const peer *p = r->fetch.lease.p;
    str names[2] = {group_host(r->group), p ? str_of(p->text, p->text_n) : STR_EMPTY};
    const struct conf_route *c = r->route->c;
    for (int i = 0; i < 2; i++) {
        if (!names[i].n || !str_has_iprefix(rest, names[i])) {
            continue;
        }
        str path = str_from(rest, names[i].n);
        if (path.n && path.p[0] != '/') {
            continue;
        }
        if (c->strip && str_has_prefix(path, c->add_path)) {
            str parts[2] = {c->strip_path, str_from(path, c->add_path.n)};
            f->value = pool_join(&r->pool, parts, 2);
        } else if (path.n) {
            f->value = path;
        }
        return;
    }
}

/* The switch of protocols itself, and with it what the upstream offers to switch to. */
static bool passes_upgrade(const req *r)
{
    return r->res.status == 101 || (r->route->exchange && r->route->exchange->c->own_connection && r->in.version < HTTP_2);
}

/* Is a field of the upstream ours to say, meant for us, or hidden by the route? Content-Length stays where no body follows (HEAD, 304): there it is
 * information, not framing. */
static bool is_own(const req *r, const field *f)
{
    if (mask_has(r->route->hide, f->token)) {
        return true;
    }
    if (f->token == TOKEN_CONTENT_LENGTH) {
        return r->res.body != MSG_BODY_NONE || r->res.status == 204 || r->res.status < 200;
    }
    return (f->flags & FIELD_DROP) && !(f->token == TOKEN_UPGRADE && passes_upgrade(r));
}

/* Fields that may stand once: the first counts, as everybody reads them. `seen`: a mask of tokens. */
static bool is_repeated(const uint64_t seen[2], const field *f)
{
    switch (f->token) {
    case TOKEN_CONTENT_TYPE: case TOKEN_DATE: case TOKEN_LAST_MODIFIED: case TOKEN_ETAG: case TOKEN_SERVER: case TOKEN_LOCATION: case TOKEN_REFRESH:
    case TOKEN_EXPIRES:
        return mask_has(seen, f->token);
    default:
        return false;
    }
}

/* The fields that go on, into `to`, which has room for all. This runs for every field of every answer: most are in nobody's list and only copied. */
static void pass_fields(const req *r, const headers *from, headers *to)
{
    const route *rt = r->route;
    bool first_only = rt->exchange && rt->exchange->c->first_only;
    field *out = to->v;
    to->seen[0] = to->seen[1] = 0;
    for (const field *f = from->v, *end = from->n ? from->v + from->n : f; f < end; f++) {
        bool doubtful = (f->flags & FIELD_DROP) || rt->doubt[f->token];
        if ((UNLIKELY(doubtful) && is_own(r, f)) || !f->name.n) {
            continue;
        }
        if (UNLIKELY(first_only)) {
            if (is_repeated(to->seen, f)) {
                continue;
            }
            to->seen[f->token >> 6] |= 1ull << (f->token & 63);
        }
        *out = *f;
        if (UNLIKELY(doubtful) && f->token == TOKEN_UPGRADE && r->res.status != 101) {
            out->flags = 0; /* an offer; the switch itself is written with the Connection that goes with it */
        }
        out++;
    }
    to->n = to->live = (uint16_t)(out - to->v);
    to->seen[0] = from->seen[0] & ~rt->hide[0]; /* a hint: what was dropped for other reasons may be in it */
    to->seen[1] = from->seen[1] & ~rt->hide[1];
}

/* The response's own list, in its own array: what hooks change does not change what the upstream sent ($upstream_http_*). */
static void copy_response_fields(req *r)
{
    const headers *from = &r->fetch.res.h;
    headers *to = &r->res.h;
    headers_init(to, &r->pool);
    to->cap = (uint16_t)(from->n + 8 + r->route->nresponse_ops);
    to->v = pool_alloc(&r->pool, sizeof *to->v * to->cap);
    pass_fields(r, from, to);
    const struct conf_strs *hide = &r->route->c->hide_headers;
    for (int i = 0; i < hide->n; i++) {
        headers_remove(to, hide->v[i]);
    }
}

int answer_from_upstream(req *r)
{
    fetch *f = &r->fetch;
    r->res = f->res;
    mem_unref(r->res_mem);
    r->res_mem = f->head_mem ? mem_ref(f->head_mem) : NULL;
    if (headers_may_have(&f->res.h, TOKEN_X_ACCEL_BUFFERING) && exchange_heeds(r, TOKEN_X_ACCEL_BUFFERING)) {
        const field *x = headers_find(&f->res.h, TOKEN_X_ACCEL_BUFFERING);
        r->no_buffer = x && str_ieq(x->value, STR("no"));
    }
    if (headers_may_have(&f->res.h, TOKEN_X_ACCEL_LIMIT_RATE) && exchange_heeds(r, TOKEN_X_ACCEL_LIMIT_RATE)) {
        const field *x = headers_find(&f->res.h, TOKEN_X_ACCEL_LIMIT_RATE);
        uint64_t rate;
        if (x && str_to_u64(x->value, &rate) == 0 && rate <= INT64_MAX) {
            rate_say(r, (int64_t)rate);
        }
    }
    copy_response_fields(r);
    if (r->route->c->rewrite_location && headers_may_have(&r->res.h, TOKEN_LOCATION)) {
        field *loc = headers_find(&r->res.h, TOKEN_LOCATION);
        if (loc) {
            map_location(r, loc);
        }
    }
    if (UNLIKELY(r->route->exchange != NULL)) {
        errand_change_head(r);
    }
    return 0;
}

static int apply_op(req *r, const headerop *op)
{
    headers *h = &r->res.h;
    if (op->op == CONF_HEADER_REMOVE) {
        headers_remove(h, op->name);
        return 0;
    }
    if (op->op == CONF_HEADER_DEFAULT && headers_get(h, op->name)) {
        return 0;
    }
    str v = tmpl_eval(op->value, r);
    if (!v.n && op->op == CONF_HEADER_REPLACE) {
        headers_remove(h, op->name);
    }
    if (!v.n || !headers_value_is_ok(v)) {
        return 0;
    }
    return op->op == CONF_HEADER_SET || op->op == CONF_HEADER_REPLACE ? headers_set(h, op->name, v) : headers_add(h, op->name, v);
}

int answer_finish_head(req *r)
{
    headers *h = &r->res.h;
    int rc = signature_put(r);
    const route *rt = r->route;
    for (int i = 0; rt && rc == 0 && i < rt->nresponse_ops; i++) {
        if (rt->response_ops[i].always || msg_has_usual_status(&r->res)) {
            rc = apply_op(r, &rt->response_ops[i]);
        }
    }
    uint32_t at = 0;
    for (const field *f; rc == 0 && r->extra.pool && (f = headers_each(&r->extra, &at)) != NULL;) {
        bool first = headers_get(&r->extra, f->name) == f; /* several of a name stay several */
        rc = first ? headers_set(h, f->name, f->value) : headers_add(h, f->name, f->value);
    }
    return rc;
}
