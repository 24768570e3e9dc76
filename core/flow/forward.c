/* forward.c — see forward.h. The request head is written with memcpy into one flat buffer and sent with one call. */
#include "flow/forward.h"

#include "back/client.h"
#include "back/group.h"
#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/realip.h"
#include "flow/signature.h"
#include "flow/tmpl.h"
#include "http/h1_write.h"
#include "net/stream.h"

enum { HEAD_STACK = 8192 };

static inline void mask_set(uint64_t m[2], unsigned token)
{
    m[token >> 6] |= 1ull << (token & 63);
}

static inline bool mask_has(const uint64_t m[2], unsigned token)
{
    return (m[token >> 6] >> (token & 63)) & 1;
}

/* Request fields that are never copied because they are written anew or belong to this hop. */
static void mask_request(const req *r, uint64_t m[2])
{
    mask_set(m, TOKEN_HOST);
    mask_set(m, TOKEN_CONTENT_LENGTH);
    mask_set(m, TOKEN_EXPECT);
    if (r->route->c->forwarded) {
        mask_set(m, TOKEN_X_REAL_IP);
        mask_set(m, TOKEN_X_FORWARDED_FOR);
        mask_set(m, TOKEN_X_FORWARDED_PROTO);
        mask_set(m, TOKEN_X_FORWARDED_HOST);
        if (!r->site->trust || !realip_peer_is_trusted(r)) { /* without trust, and from those it does not name */
            mask_set(m, TOKEN_FORWARDED);
            mask_set(m, TOKEN_X_FORWARDED_PORT);
        }
    }
    for (int i = 0; i < r->route->nrequest_ops; i++) {
        const headerop *op = &r->route->request_ops[i];
        if (op->token && op->op != CONF_HEADER_ADD && op->op != CONF_HEADER_DEFAULT) {
            mask_set(m, op->token);
        }
    }
    m[0] &= ~1ull; /* TOKEN_NONE */
}

/* Is a field without a token replaced or removed by an operation? */
static bool is_replaced(const route *rt, const field *f)
{
    for (int i = 0; i < rt->nrequest_ops; i++) {
        const headerop *op = &rt->request_ops[i];
        if (op->op != CONF_HEADER_ADD && op->op != CONF_HEADER_DEFAULT && op->name.n == f->name.n && str_ieq(op->name, f->name)) {
            return true;
        }
    }
    return false;
}

static void copy_fields(const req *r, fmt *f)
{
    uint64_t skip[2] = {0, 0};
    mask_request(r, skip);
    const headers *h = &r->in.h;
    bool check_names = r->route->nrequest_ops > 0;
    for (const field *v = h->v, *end = h->n ? h->v + h->n : v; v < end; v++) { /* without fields there is no array */
        if (v->name.n == 0 || (v->flags & FIELD_DROP) || mask_has(skip, v->token)) {
            continue;
        }
        if (check_names && v->token == TOKEN_NONE && is_replaced(r->route, v)) {
            continue;
        }
        h1_write_parsed(f, v);
    }
}

static void write_ops(req *r, fmt *f)
{
    const route *rt = r->route;
    for (int i = 0; i < rt->nrequest_ops; i++) {
        const headerop *op = &rt->request_ops[i];
        if (op->op == CONF_HEADER_REMOVE || op->token == TOKEN_HOST || op->token == TOKEN_CONNECTION) {
            continue; /* Host and Connection have their own place in the head */
        }
        if (op->op == CONF_HEADER_DEFAULT && headers_get(&r->in.h, op->name)) {
            continue;
        }
        if (op->prefix.n) {
            fmt_put(f, op->prefix);
            continue;
        }
        str v = tmpl_eval(op->value, r);
        if (v.n && headers_value_is_ok(v)) {
            h1_write_field(f, op->name, v);
        }
    }
}

/* An operation of the route writes this field itself. */
static bool op_sets(const route *rt, enum token t)
{
    for (int i = 0; i < rt->nrequest_ops; i++) {
        if (rt->request_ops[i].token == t) {
            return true;
        }
    }
    return false;
}

static void write_forwarded(req *r, fmt *f)
{
    const route *rt = r->route;
    bool plain = rt->nrequest_ops == 0;
    if (plain || !op_sets(rt, TOKEN_X_REAL_IP)) {
        h1_write_field(f, STR("X-Real-IP"), req_client_ip(r));
    }
    if (plain || !op_sets(rt, TOKEN_X_FORWARDED_FOR)) {
        h1_write_field(f, STR("X-Forwarded-For"), realip_forwarded_for(r));
    }
    if (plain || !op_sets(rt, TOKEN_X_FORWARDED_PROTO)) {
        h1_write_field(f, STR("X-Forwarded-Proto"), realip_forwarded_proto(r));
    }
    if (r->host_field.n && (plain || !op_sets(rt, TOKEN_X_FORWARDED_HOST))) {
        h1_write_field(f, STR("X-Forwarded-Host"), realip_forwarded_host(r));
    }
}

/* A group made of a URL has that for a name. */
static str group_host(const group *g)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (str_has_iprefix(g->name, str_c(schemes[i]))) {
            return str_from(g->name, strlen(schemes[i]));
        }
    }
    return g->name;
}

static void write_host(req *r, fmt *f)
{
    str host = r->host_field; /* checked by the parser */
    if (r->route->host) {
        host = tmpl_eval(r->route->host, r);
        host = headers_value_is_ok(host) ? host : STR_EMPTY;
    }
    h1_write_field(f, STR("Host"), host.n ? host : group_host(r->group));
}

bool forward_upgrades(const req *r)
{
    return r->in.upgrade && r->route->c->websocket;
}

/* What connects this hop: an upgrade, or keepalive by silence, or close. */
static void write_connection(req *r, fmt *f)
{
    const struct conf_route *c = r->route->c;
    if (forward_upgrades(r)) {
        fmt_put(f, STR("Upgrade: websocket\r\nConnection: Upgrade\r\n"));
    } else if (!c->upstream_keepalive) {
        fmt_put(f, STR("Connection: close\r\n"));
    } else if (c->upstream_http == 0) {
        fmt_put(f, STR("Connection: keep-alive\r\n"));
    }
}

static void write_framing(fmt *f, int64_t body_length)
{
    if (body_length >= 0) {
        fmt_put(f, STR("Content-Length: "));
        fmt_u64(f, (uint64_t)body_length);
        fmt_put(f, STR("\r\n"));
    } else if (body_length == -1) {
        fmt_put(f, STR("Transfer-Encoding: chunked\r\n"));
    }
}

/* The path sent upstream: the raw target while nothing changed it; else re-encoded from the normalised path (nginx's rule). */
static str upstream_target(req *r)
{
    const struct conf_route *c = r->route->c;
    if (r->uri.form == URI_ASTERISK) {
        return STR("*");
    }
    bool strip = c->strip && str_has_prefix(r->path, c->strip_path);
    if (!strip && !r->path_changed && !r->query_changed) {
        return r->uri.raw;
    }
    str path = strip ? str_from(r->path, c->strip_path.n) : r->path;
    str lead = strip ? c->add_path : STR_EMPTY;
    if (lead.n + path.n == 0 || (lead.n == 0 && path.p[0] != '/') ) {
        lead = lead.n ? lead : STR("/");
    }
    bool as_is = !strip && !r->path_changed;
    str parts[4] = {lead, as_is ? r->uri.raw_path : uri_encode_path(path, &r->pool), r->query.p ? STR("?") : STR_EMPTY, r->query};
    if (as_is) {
        parts[0] = STR_EMPTY;
    }
    return pool_join(&r->pool, parts, 4);
}

static void write_head(req *r, str target, int64_t body_length, fmt *f)
{
    h1_write_request_line(f, r->in.method_name, target, r->route->c->upstream_http == 0 ? 0 : 1);
    write_host(r, f);
    if (r->route->c->forwarded) {
        write_forwarded(r, f);
    }
    copy_fields(r, f);
    if (r->route->nrequest_ops) {
        write_ops(r, f);
    }
    write_connection(r, f);
    if (r->route->c->via) {
        fmt_put(f, STR("Via: 1.1 moongate\r\n"));
    }
    write_framing(f, body_length);
    fmt_put(f, STR("\r\n"));
}

int forward_request(req *r, int64_t body_length)
{
    char stack[HEAD_STACK];
    str target = upstream_target(r);
    fmt f = fmt_of(stack, sizeof stack);
    write_head(r, target, body_length, &f);
    if (UNLIKELY(f.cut)) {
        size_t cap = h1_write_size(&r->in.h) + target.n + 65536;
        char *big = pool_try_alloc(&r->pool, cap, 1 << 20);
        if (!big) {
            return ERR_HEAD_TOO_LARGE;
        }
        f = fmt_of(big, cap);
        write_head(r, target, body_length, &f);
        if (f.cut) {
            return ERR_HEAD_TOO_LARGE;
        }
    }
    r->fetch.bytes_out += fmt_str(&f).n;
    if (r->fetch.ops->start) {
        return r->fetch.ops->start(&r->fetch, fmt_str(&f), &r->trailers);
    }
    return stream_send(fetch_stream(&r->fetch), fmt_str(&f));
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

/* Fields of the upstream that are ours to say, or were meant for us. Content-Length stays where no body follows (HEAD, 304):
 * there it is information, not framing. */
static bool is_own(const req *r, const field *f)
{
    switch (f->token) {
    case TOKEN_SERVER:
    case TOKEN_DATE:
    case TOKEN_X_ACCEL_BUFFERING:
    case TOKEN_X_ACCEL_EXPIRES:
    case TOKEN_X_ACCEL_REDIRECT:
    case TOKEN_X_ACCEL_LIMIT_RATE:
    case TOKEN_X_ACCEL_CHARSET:
        return true;
    case TOKEN_CONTENT_LENGTH:
        return r->res.body != MSG_BODY_NONE || r->res.status == 204 || r->res.status < 200;
    default:
        return (f->flags & FIELD_DROP) != 0;
    }
}

static inline void keep_field(headers *to, const field *f)
{
    to->v[to->n++] = *f;
    to->live++;
    to->seen[f->token >> 6] |= 1ull << (f->token & 63);
}

/* The response's own list, in its own array: what hooks change does not change what the upstream sent ($upstream_http_*). */
static void copy_response_fields(req *r)
{
    const headers *from = &r->fetch.res.h;
    headers *to = &r->res.h;
    headers_init(to, &r->pool);
    to->cap = (uint16_t)(from->n + 8 + r->route->nresponse_ops);
    to->v = pool_alloc(&r->pool, sizeof *to->v * to->cap);
    for (const field *f = from->v, *end = from->n ? from->v + from->n : f; f < end; f++) {
        if (f->name.n && !is_own(r, f)) {
            keep_field(to, f);
        }
    }
    const struct conf_strs *hide = &r->route->c->hide_headers;
    for (int i = 0; i < hide->n; i++) {
        headers_remove(to, hide->v[i]);
    }
}

int forward_response(req *r)
{
    fetch *f = &r->fetch;
    r->res = f->res;
    mem_unref(r->res_mem);
    r->res_mem = f->head_mem ? mem_ref(f->head_mem) : NULL;
    if (headers_may_have(&f->res.h, TOKEN_X_ACCEL_BUFFERING)) {
        const field *x = headers_find(&f->res.h, TOKEN_X_ACCEL_BUFFERING);
        r->no_buffer = x && str_ieq(x->value, STR("no"));
    }
    copy_response_fields(r);
    if (r->route->c->rewrite_location && headers_may_have(&r->res.h, TOKEN_LOCATION)) {
        field *loc = headers_find(&r->res.h, TOKEN_LOCATION);
        if (loc) {
            map_location(r, loc);
        }
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

int forward_finish_head(req *r)
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
