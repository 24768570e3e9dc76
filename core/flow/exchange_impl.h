/* exchange_impl.h — the bodies behind exchange.h, for the files of flow/ that look inside. */
#ifndef FLOW_EXCHANGE_IMPL_H
#define FLOW_EXCHANGE_IMPL_H

#include "conf/conf.h"
#include "flow/exchange.h"
#include "flow/plan.h"
#include "flow/req.h"

struct retouch;
struct upstream_tls;

struct exchange {
    const struct conf_exchange *c;
    tmpl *target, *body, *method, *bind, *store;
    tmpl **hints;
    struct retouch *retouch;  /* of Location, Refresh, Set-Cookie; NULL: none */
    struct upstream_tls *tls; /* NULL: as the upstream says */
    uint64_t ignore[2];       /* mask of tokens: fields of the upstream that mean nothing here */
};

/* What a request remembers of such an exchange; in its pool, NULL until needed. */
struct errand {
    const route *route;   /* it is of; another route after a redirect has another one */
    int first;            /* of its attempts */
    bool evaluated;       /* the target was */
    bool secure;          /* its scheme is https */
    bool replaced;        /* the body was */
    str host, port;       /* of the target: $proxy_host, $proxy_port */
    str uri;              /* its path and query; .p NULL: none was said */
    addr bind;
};

/* The request's errand, made when there is none. */
struct errand *errand_of(req *r);

/* Does a field of the upstream mean something to the gateway? */
static inline bool exchange_heeds(const req *r, enum token t)
{
    const struct exchange *x = r->route->exchange;
    return !x || !((x->ignore[(unsigned)t >> 6] >> ((unsigned)t & 63)) & 1);
}

#endif
