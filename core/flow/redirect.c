/* redirect.c — see redirect.h. */
#include "flow/redirect.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/signature.h"
#include "flow/steps.h"
#include "flow/var.h"

/* ":8080", or nothing when it is the scheme's own or must not be told. */
static str port_part(req *r)
{
    const struct conf_route *c = r->route->c;
    uint16_t port = c->port_in_redirect ? addr_port(&r->client.local) : 0;
    if (port == 0 || port == (r->client.tls ? 443 : 80)) {
        return STR_EMPTY;
    }
    return pool_printf(&r->pool, ":%u", (unsigned)port);
}

static str local_host(req *r)
{
    char text[ADDR_TEXT_MAX];
    bool v6 = r->client.local.sa.sa_family == AF_INET6;
    str ip = str_of(text, (size_t)addr_print_ip(&r->client.local, text, sizeof text));
    str parts[3] = {v6 ? STR("[") : STR_EMPTY, ip, v6 ? STR("]") : STR_EMPTY};
    return pool_join(&r->pool, parts, 3);
}

str redirect_target(req *r, str to)
{
    const struct conf_route *c = r->route ? r->route->c : NULL;
    if (!c || !c->absolute_redirect || to.n == 0 || to.p[0] != '/') {
        return to;
    }
    var_know_connection(r);
    str host = c->redirect_host.n ? c->redirect_host : r->host.n ? r->host : local_host(r);
    str parts[4] = {r->client.tls ? STR("https://") : STR("http://"), host, port_part(r), to};
    return pool_join(&r->pool, parts, 4);
}

int redirect_reply(req *r, int status, str to)
{
    if (!headers_value_is_ok(to)) {
        return ERR_BAD_TARGET;
    }
    if (r->extra.pool) {
        headers_remove(&r->extra, STR("Location")); /* of an answer that an error page took the place of */
    }
    r->err_status = r->err_status ? (uint16_t)status : 0; /* a redirect tells itself, not the error it is the page for */
    bool page = r->route && r->route->c->signature != CONF_SIGNATURE_MOONGATE;
    req_reply(r, status, page ? signature_page(r, status) : STR_EMPTY, page ? STR("text/html") : STR_EMPTY);
    return headers_set(&r->res.h, STR("Location"), redirect_target(r, to));
}

int redirect_to_slash(req *r)
{
    str parts[3] = {uri_encode_path(r->route->c->pattern, &r->pool),
                    r->query.n ? STR("?") : STR_EMPTY, r->query};
    return redirect_reply(r, 301, pool_join(&r->pool, parts, 3));
}
