/* dial.c — see dial.h. */
#include "flow/dial.h"

#include "back/group.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "flow/exchange_impl.h"
#include "flow/tmpl.h"
#include "flow/upstream_tls.h"

/* The local address for the connection; NULL: any. */
static const addr *local_address(req *r)
{
    const struct exchange *x = r->route->exchange;
    if (!x->bind) {
        return NULL;
    }
    str text = tmpl_eval(x->bind, r);
    struct errand *e = errand_of(r);
    if (!text.n || addr_parse(text, 0, &e->bind) < 0 || e->bind.sa.sa_family == AF_UNIX) {
        if (text.n) {
            log_error("invalid local address \"%.*s\"", STR_ARG(text));
        }
        return NULL;
    }
    return &e->bind;
}

/* The context for this exchange: the route's own, else the upstream's. 0 or < 0. */
static int choose_tls(req *r, struct lease_args *a)
{
    const struct exchange *x = r->route->exchange;
    a->tls = r->group->tls;
    if (!x->tls || (r->errand && r->errand->evaluated && !r->errand->secure)) {
        return 0;
    }
    a->tls = upstream_tls_context(x->tls, r);
    a->tls_name = upstream_tls_name(x->tls, r);
    a->no_resume = !upstream_tls_resumes(x->tls);
    return a->tls ? 0 : ERR_IDENTITY;
}

int dial_args(req *r, struct lease_args *a)
{
    const struct exchange *x = r->route->exchange;
    a->tcp_keepalive = x->c->socket_keepalive;
    a->bind = local_address(r);
    if (a->bind) {
        char text[ADDR_TEXT_MAX];
        a->tag = hash_keyed(str_of(text, addr_print(a->bind, text, sizeof text)), 2, 0);
    }
    if (x->method) {
        r->fetch_method = tmpl_eval(x->method, r);
        if (!headers_name_is_ok(r->fetch_method)) {
            return ERR_BAD_METHOD;
        }
        r->fetch.method = method_find(r->fetch_method);
    }
    return choose_tls(r, a);
}
