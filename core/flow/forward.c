/* forward.c — see forward.h. The request head is written with memcpy into one flat buffer and sent with one call. */
#include "flow/forward.h"

#include "back/client.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/realip.h"
#include "flow/target.h"
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

void forward_compile(route *rt)
{
    uint64_t *m = rt->skip;
    m[0] = m[1] = 0;
    mask_set(m, TOKEN_HOST);
    mask_set(m, TOKEN_CONTENT_LENGTH);
    mask_set(m, TOKEN_EXPECT);
    if (rt->c->forwarded) {
        mask_set(m, TOKEN_X_REAL_IP);
        mask_set(m, TOKEN_X_FORWARDED_FOR);
        mask_set(m, TOKEN_X_FORWARDED_PROTO);
        mask_set(m, TOKEN_X_FORWARDED_HOST);
    }
    for (int i = 0; i < rt->nrequest_ops; i++) {
        const headerop *op = &rt->request_ops[i];
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
    uint64_t skip[2] = {r->route->skip[0], r->route->skip[1]};
    if (r->route->c->forwarded && (!r->site->trust || !realip_peer_is_trusted(r))) { /* without trust, and from those it does not name */
        mask_set(skip, TOKEN_FORWARDED);
        mask_set(skip, TOKEN_X_FORWARDED_PORT);
    }
    const headers *h = &r->in.h;
    bool check_names = r->route->nrequest_ops > 0;
    if (UNLIKELY(r->route->exchange && !r->route->c->exchange.v[0].send_headers)) {
        return;
    }
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
    bool own_connection = rt->exchange && rt->c->exchange.v[0].own_connection;
    for (int i = 0; i < rt->nrequest_ops; i++) {
        const headerop *op = &rt->request_ops[i];
        if (op->op == CONF_HEADER_REMOVE || op->token == TOKEN_HOST || (op->token == TOKEN_CONNECTION && !own_connection) ||
            op->token == TOKEN_CONTENT_LENGTH || op->token == TOKEN_TRANSFER_ENCODING) {
            continue; /* Host and Connection have their own place in the head; there is one framing, ours */
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

static void write_host(req *r, fmt *f)
{
    str host = r->host_field; /* checked by the parser */
    if (r->route->host) {
        host = tmpl_eval(r->route->host, r);
        host = headers_value_is_ok(host) ? host : STR_EMPTY;
    }
    if (UNLIKELY(!host.n && r->route->exchange) && r->route->c->upstream_http == 0) {
        return; /* HTTP/1.0 needs none */
    }
    h1_write_field(f, STR("Host"), host.n ? host : target_host(r));
}

bool forward_upgrades(const req *r)
{
    return r->in.upgrade && r->route->c->websocket;
}

bool forward_may_tunnel(const req *r)
{
    if (!r->proto || !r->proto->hijack) {
        return false; /* a sub-request, a stream of HTTP/2: there is no connection to give away */
    }
    if (r->route->exchange && r->route->c->exchange.v[0].own_connection) { /* what the route asked for is what it gets */
        return headers_find(&r->in.h, TOKEN_UPGRADE) != NULL;
    }
    return forward_upgrades(r) && headers_lists(&r->fetch.res.h, TOKEN_UPGRADE, STR("websocket"));
}

/* What connects this hop: an upgrade, or keepalive by silence, or close. */
static void write_connection(req *r, fmt *f)
{
    const struct conf_route *c = r->route->c;
    if (UNLIKELY(r->route->exchange && r->route->c->exchange.v[0].own_connection)) {
        return;
    }
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

static void write_head(req *r, str target, int64_t body_length, fmt *f)
{
    str method = UNLIKELY(r->fetch_method.n) ? r->fetch_method : r->in.method_name;
    h1_write_request_line(f, method, target, r->route->c->upstream_http == 0 ? 0 : 1);
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

/* The head waits for the first bytes of the body: one write, and one record, for both. */
static int queue_head(req *r, str head)
{
    bufq q;
    bufq_init(&q);
    bufq_push_copy(&q, head);
    stream_push(fetch_stream(&r->fetch), &q);
    return 0;
}

int forward_request(req *r, int64_t body_length)
{
    char stack[HEAD_STACK];
    str target = target_uri(r);
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
    return UNLIKELY(!r->fetch.upload_done) ? queue_head(r, fmt_str(&f)) : stream_send(fetch_stream(&r->fetch), fmt_str(&f));
}
