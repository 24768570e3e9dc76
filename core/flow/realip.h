/* realip.h — who the client is when trusted proxies stand in front of us, and what the upstream is
 * told about it.
 *
 * A forwarded field is believed only when the connection comes from the site's trusted networks.
 * With `trust_recursive` trusted addresses are skipped from the right, so that the client is the
 * last address that no trusted proxy wrote about itself; without it the last one is taken. Entries
 * that are not addresses end the search: what is left of them was written by somebody who does not
 * matter any more. */
#ifndef FLOW_REALIP_H
#define FLOW_REALIP_H

#include "flow/req.h"
#include "net/addr.h"

struct conf_strs;

/* Networks, and where those in them say who the client is. */
typedef struct trust {
    cidr *v;
    int n;
    str header;
    uint16_t token;  /* of the header; TOKEN_NONE: by name */
    bool recursive;
    bool from_proxy; /* the PROXY header of the connection says it, not a field */
} trust;

struct trust_args {
    const struct conf_strs *from; /* networks, addresses, "unix:", names of hosts (looked up here and now) */
    str header;                   /* empty: X-Forwarded-For */
    bool recursive;
};
/* 0, or ERR_CONF with what could not be understood in *bad. */
MUST_USE int trust_new(const struct trust_args *a, pool *p, trust **out, str *bad);
bool trust_has(const trust *t, const addr *a);

/* What a PROXY header said, kept as long as its connection and the requests of it: in a chunk of its own. */
typedef struct proxy_facts {
    addr src, dst;  /* .len 0: it did not say */
    str tlvs;       /* behind this struct */
} proxy_facts;
/* NULL: its connection had no PROXY header. */
const proxy_facts *realip_proxy(const req *r);

/* Sets r->client.addr from what the site trusts. Without trust it is the peer. */
void realip_apply(req *r);
/* The same for a route's own trust, when nobody has said yet who the client is. */
void realip_apply_late(req *r, const trust *t);
/* The client's address by X-Forwarded-For when *client, the peer so far, is trusted; else it stays. */
void realip_walk(const headers *h, const trust *t, addr *client);
/* Is the peer in the site's trusted networks? */
bool realip_peer_is_trusted(const req *r);
/* The X-Forwarded-For to send: what the trusted peer sent and the peer itself; for any other peer
 * its address alone. */
str realip_forwarded_for(req *r);
/* X-Forwarded-Proto and -Host of a trusted peer are kept: the value to send. */
str realip_forwarded_proto(req *r);
str realip_forwarded_host(req *r);

#endif
