/* var_request.c — variables of the request and its connection. Each getter costs nothing until it
 * is asked. */
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/var_impl.h"

#include "base/hash.h"
#include "flow/access_log.h"
#include "flow/basic.h"
#include "flow/subreq.h"
#include "flow/var.h"
#include "http/cookie.h"
#include "net/stream.h"
#include "tls/stream_tls.h"

str var_get_args(req *r, str arg)
{
    (void)arg;
    return r->query;
}

void var_set_args(req *r, str value)
{
    r->query = value.n ? value : (str){NULL, 0};
    r->query_changed = r->path_changed = true; /* what came on the wire is no longer what is meant */
}

str var_get_is_args(req *r, str arg)
{
    (void)arg;
    return r->query.n ? STR("?") : STR_EMPTY;
}

str var_get_arg(req *r, str arg)
{
    str rest = r->query;
    str name;
    str value;
    while (rest.n && uri_query_next(&rest, &name, &value)) {
        if (str_ieq(name, arg)) {
            return value;
        }
    }
    return VAR_ABSENT;
}

str var_get_cookie(req *r, str arg)
{
    str value;
    bool found = r->plan->conf->g.manners == CONF_MANNERS_NGINX ? cookie_get_raw(&r->in.h, arg, &value) : cookie_get(&r->in.h, arg, &value);
    return found ? value : VAR_ABSENT;
}

/* Several Cookie fields make one list (RFC 9113 §8.2.3). */
static str cookies(req *r)
{
    const field *first = headers_find(&r->in.h, TOKEN_COOKIE);
    str all = first ? first->value : VAR_ABSENT;
    for (const field *f = first; f && (f = headers_next(&r->in.h, f)) != NULL;) {
        const str parts[3] = {all, STR("; "), f->value};
        all = pool_join(&r->pool, parts, 3);
    }
    return all;
}

str var_get_http(req *r, str arg)
{
    if (str_ieq(arg, STR("host"))) {
        return r->host_field.n ? r->host_field : VAR_ABSENT;
    }
    return str_ieq(arg, STR("cookie")) ? cookies(r) : var_field(r, &r->in.h, arg);
}

static str field_value(const req *r, enum token t)
{
    const field *f = headers_find(&r->in.h, t);
    return f ? f->value : VAR_ABSENT;
}

str var_get_content_type(req *r, str arg)
{
    (void)arg;
    return headers_joined(&r->in.h, STR("content-type"));
}

str var_get_content_length(req *r, str arg)
{
    (void)arg;
    return field_value(r, TOKEN_CONTENT_LENGTH);
}

str var_get_uri(req *r, str arg)
{
    (void)arg;
    return r->path.p ? r->path : STR_EMPTY;
}

str var_get_request_uri(req *r, str arg)
{
    (void)arg;
    return r->path.p ? r->uri.raw : r->in.target; /* the second: a target that could not be split */
}

str var_get_request_method(req *r, str arg)
{
    (void)arg;
    return r->in.method_name;
}

str var_get_server_protocol(req *r, str arg)
{
    (void)arg;
    switch (r->in.version) {
    case HTTP_2:
        return STR("HTTP/2.0");
    case HTTP_1_0:
        return STR("HTTP/1.0");
    case HTTP_1_1:
        return STR("HTTP/1.1");
    default:
        return VAR_ABSENT;
    }
}

str var_get_http2(req *r, str arg)
{
    (void)arg;
    return r->in.version != HTTP_2 ? VAR_ABSENT : r->client.tls ? STR("h2") : STR("h2c");
}

str var_get_request(req *r, str arg)
{
    if (!r->in.method_name.n) {
        return VAR_ABSENT;
    }
    const str parts[5] = {r->in.method_name, STR(" "), r->in.target, STR(" "),
                          var_get_server_protocol(r, arg)};
    return pool_join(&r->pool, parts, parts[4].n ? 5 : 3);
}

str var_get_request_length(req *r, str arg)
{
    (void)arg;
    return var_number(r, r->received);
}

/* 32 hex digits as in nginx; the first half is the number that the error log has. */
str var_get_request_id(req *r, str arg)
{
    (void)arg;
    const uint64_t id = subreq_main_id(r);
    const uint64_t halves[2] = {id, hash_bytes(str_of((const char *)&id, sizeof id))};
    char *out = pool_alloc(&r->pool, 32);
    for (int i = 0; i < 32; i++) {
        out[i] = "0123456789abcdef"[halves[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    return str_of(out, 32);
}

/* ---- host and server */

static str canonical_name(const req *r)
{
    for (int i = 0; r->site && i < r->site->c->names.n; i++) {
        str name = r->site->c->names.v[i];
        if (!str_eq(name, STR("*"))) {
            return name.n > 1 && name.p[0] == '.' ? str_from(name, 1) : name; /* ".x" is x and below */
        }
    }
    return STR_EMPTY;
}

str var_get_host(req *r, str arg)
{
    (void)arg;
    return r->host.n ? r->host : canonical_name(r);
}

str var_get_server_name(req *r, str arg)
{
    (void)arg;
    return canonical_name(r);
}

str var_get_scheme(req *r, str arg)
{
    (void)arg;
    return r->client.tls ? STR("https") : STR("http");
}

str var_get_https(req *r, str arg)
{
    (void)arg;
    return r->client.tls ? STR("on") : STR_EMPTY;
}

/* ---- addresses */

static str ip_text(req *r, const addr *a)
{
    if (!a->len && !a->unix_path) {
        return VAR_ABSENT;
    }
    char *buf = pool_alloc(&r->pool, ADDR_TEXT_MAX);
    return str_of(buf, addr_print_ip(a, buf, ADDR_TEXT_MAX));
}

static str port_text(req *r, const addr *a)
{
    if (!a->len || a->unix_path) {
        return VAR_ABSENT;
    }
    return addr_port(a) ? var_number(r, addr_port(a)) : STR_EMPTY; /* a field that named the client need not say a port */
}

str var_get_remote_addr(req *r, str arg)
{
    (void)arg;
    return ip_text(r, &r->client.addr);
}

str var_get_remote_port(req *r, str arg)
{
    (void)arg;
    return port_text(r, &r->client.addr);
}

str var_get_realip_remote_addr(req *r, str arg)
{
    (void)arg;
    return ip_text(r, &r->client.peer);
}

str var_get_realip_remote_port(req *r, str arg)
{
    (void)arg;
    return port_text(r, &r->client.peer);
}

str var_get_server_addr(req *r, str arg)
{
    (void)arg;
    var_know_connection(r);
    return ip_text(r, &r->client.local);
}

str var_get_server_port(req *r, str arg)
{
    (void)arg;
    var_know_connection(r);
    return port_text(r, &r->client.local);
}

str var_get_binary_remote_addr(req *r, str arg)
{
    (void)arg;
    const addr *a = &r->client.addr;
    if (a->len && a->sa.sa_family == AF_INET) {
        return str_of((const char *)&a->in.sin_addr, 4);
    }
    if (a->len && a->sa.sa_family == AF_INET6) {
        return str_of((const char *)&a->in6.sin6_addr, 16);
    }
    return ip_text(r, a);
}

str var_get_proxy_add_x_forwarded_for(req *r, str arg)
{
    str before = headers_joined(&r->in.h, STR("x-forwarded-for"));
    str addr_text = var_get_remote_addr(r, arg);
    if (!before.n) {
        return addr_text;
    }
    const str parts[3] = {before, STR(", "), addr_text};
    return pool_join(&r->pool, parts, 3);
}

/* ---- the connection */

static void know_local(req *r, const stream *s)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof ss;
    if (getsockname(s->fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family != AF_UNIX) {
        addr_from_sockaddr(&r->client.local, (struct sockaddr *)&ss, len);
    }
}

static void know_tls(req *r, const stream *s)
{
    struct stream_tls_facts facts;
    stream_tls_facts(s, &facts);
    r->client.tls_protocol = pool_dup(&r->pool, facts.protocol);
    r->client.tls_cipher = pool_dup(&r->pool, facts.cipher);
    r->client.tls_name = pool_dup(&r->pool, facts.server_name);
}

void var_know_connection(req *r)
{
    if (r->client_known) {
        return;
    }
    r->client_known = true;
    r->client.local = (addr){0};
    r->client.tls_protocol = r->client.tls_cipher = r->client.tls_name = STR_EMPTY;
    const stream *s = r->proto ? r->client.stream : NULL;
    if (s && stream_is_open(s)) {
        know_local(r, s);
        if (r->client.tls) {
            know_tls(r, s);
        }
    }
}

void var_leave_connection(req *r)
{
    const route *rt = r->route;
    bool asked = rt && (rt->hooks & 1u << PHASE_LOG);
    for (int i = 0; rt && !asked && i < rt->nlogs; i++) {
        asked = access_log_uses_connection(rt->logs[i]);
    }
    if (asked) {
        var_know_connection(r);
        if (r->client.tls && r->client.stream) {
            var_know_facts(r);
        }
    }
    r->client.stream = NULL;
}

str var_get_connection(req *r, str arg)
{
    (void)arg;
    return var_number(r, r->client.conn_id);
}

str var_get_connection_requests(req *r, str arg)
{
    (void)arg;
    return var_number(r, r->client.conn_requests);
}

static str or_absent(str s)
{
    return s.n ? s : VAR_ABSENT;
}

str var_get_ssl_protocol(req *r, str arg)
{
    (void)arg;
    var_know_connection(r);
    return or_absent(r->client.tls_protocol);
}

str var_get_ssl_cipher(req *r, str arg)
{
    (void)arg;
    var_know_connection(r);
    return or_absent(r->client.tls_cipher);
}

str var_get_ssl_server_name(req *r, str arg)
{
    (void)arg;
    var_know_connection(r);
    return or_absent(r->client.tls_name);
}

/* ---- the user of Basic authentication (RFC 7617), not verified by anybody here */

str var_get_remote_user(req *r, str arg)
{
    (void)arg;
    struct basic b;
    return basic_read(r, &b) && b.user.n ? b.user : VAR_ABSENT;
}
