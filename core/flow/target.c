/* target.c — see target.h. */
#include "flow/target.h"

#include "back/group.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/dynamic.h"
#include "flow/exchange_impl.h"
#include "flow/plan.h"
#include "flow/tmpl.h"

/* ---- the URL */

/* "host", "host:port", "[v6]:port": *port is empty when there is none. */
static void split_port(str authority, str *host, str *port)
{
    size_t colon = authority.n;
    while (colon > 0 && authority.p[colon - 1] != ':' && authority.p[colon - 1] != ']') {
        colon--;
    }
    bool has = colon > 0 && authority.p[colon - 1] == ':' && (authority.p[0] == '[' || str_find(authority, ':', 0) == colon - 1);
    *host = has ? str_of(authority.p, colon - 1) : authority;
    *port = has ? str_from(authority, colon) : STR_EMPTY;
}

/* "unix:/path:" or "unix:/path", then the URI. */
static void split_unix(str rest, str *authority, str *tail)
{
    size_t end = str_find(rest, ':', 5);
    *authority = str_of(rest.p, end);
    *tail = str_from(rest, end + 1);
}

static void split_uri(str rest, str *authority, str *tail)
{
    if (str_has_prefix(rest, STR("unix:"))) {
        split_unix(rest, authority, tail);
        return;
    }
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#') {
        end++;
    }
    *authority = str_of(rest.p, end);
    *tail = str_from(rest, end);
}

static int find_group(req *r, const struct errand *e, str authority)
{
    int rc = dynamic_upstream(r, authority, e->secure ? 443 : 80);
    if (rc == ERR_RESOLVE) {
        log_error("no resolver defined to resolve %.*s", STR_ARG(authority));
    } else if (rc < 0) {
        log_error("invalid host in upstream \"%.*s\"", STR_ARG(authority));
    }
    return rc < 0 && rc != ERR_RESOLVE ? ERR_IO : rc;
}

/* Bytes of the URL that are its scheme, *secure; 0: it has none that is known. */
static size_t scheme_of(str url, bool grpc, bool *secure)
{
    static const struct {
        str text;
        bool grpc, secure;
    } all[] = {
        {{"http://", 7}, false, false}, {{"https://", 8}, false, true}, {{"grpc://", 7}, true, false}, {{"grpcs://", 8}, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i].grpc == grpc && str_has_iprefix(url, all[i].text)) {
            *secure = all[i].secure;
            return all[i].text.n;
        }
    }
    return 0;
}

int target_evaluate(req *r)
{
    struct errand *e = errand_of(r);
    if (e->evaluated) {
        return 0;
    }
    str url = tmpl_eval(r->route->exchange->target, r);
    bool grpc = r->route->exchange->c->grpc, secure = false;
    size_t skip = scheme_of(url, grpc, &secure);
    if (!skip && (!grpc || str_search(url, STR("://")) < url.n)) {
        log_error("invalid URL prefix in \"%.*s\"", STR_ARG(url));
        return ERR_IO;
    }
    str authority, tail;
    split_uri(str_from(url, skip), &authority, &tail);
    if (!authority.n || !headers_value_is_ok(url) || str_find(authority, ' ', 0) < authority.n) {
        log_error("no host in upstream \"%.*s\"", STR_ARG(url));
        return ERR_IO;
    }
    e->evaluated = true;
    e->secure = secure;
    str host;
    split_port(authority, &host, &e->port);
    if (!e->port.n) {
        e->port = e->secure ? STR("443") : STR("80");
    }
    e->host = str_has_prefix(authority, STR("unix:")) ? STR("localhost") : authority;
    if (tail.n && tail.p[0] == '?') {
        str parts[2] = {STR("/"), tail};
        tail = pool_join(&r->pool, parts, 2);
    }
    e->uri = tail.n ? tail : (str){NULL, 0};
    return find_group(r, e, authority);
}

/* ---- what is asked */

/* Bytes that may not stand in a request line: a template can bring any. */
static str safe_uri(req *r, str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c == 0x7f) {
            return uri_encode_target(text, &r->pool);
        }
    }
    return text;
}

/* The raw target while nothing changed it; else re-encoded from the normalised path (nginx's rule). */
str target_uri(req *r)
{
    const struct conf_route *c = r->route->c;
    if (UNLIKELY(r->errand && r->errand->uri.p)) {
        return safe_uri(r, r->errand->uri);
    }
    if (r->uri.form == URI_ASTERISK) {
        return STR("*");
    }
    bool strip = c->strip && !r->path_kept && str_has_prefix(r->path, c->strip_path);
    if (!strip && !r->path_changed && !r->query_changed) {
        return r->uri.raw;
    }
    str path = strip ? str_from(r->path, c->strip_path.n) : r->path;
    str lead = strip ? c->add_path : STR_EMPTY;
    if (lead.n == 0 && (path.n == 0 || path.p[0] != '/')) {
        lead = STR("/");
    }
    bool as_is = !strip && !r->path_changed;
    bool query = r->query.p && r->query.n;
    str parts[4] = {lead, as_is ? r->uri.raw_path : uri_encode_path(path, &r->pool), query || (r->query.p && as_is) ? STR("?") : STR_EMPTY, r->query};
    if (as_is) {
        parts[0] = STR_EMPTY;
    }
    return pool_join(&r->pool, parts, 4);
}

str target_host(const req *r)
{
    if (r->errand && r->errand->host.n) {
        return r->errand->host;
    }
    const struct exchange *x = r->route ? r->route->exchange : NULL;
    return x && x->c->url_host.p ? x->c->url_host : r->group ? group_host(r->group) : STR_EMPTY;
}
