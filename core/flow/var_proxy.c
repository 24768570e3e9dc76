/* var_proxy.c — variables of the PROXY header that the connection began with. */
#include "flow/realip.h"
#include "flow/var_impl.h"
#include "http/proxyproto.h"

/* Absent without a PROXY header; empty when it says nothing (LOCAL, UNKNOWN). */
static str ip_of(req *r, bool of_server)
{
    const proxy_facts *f = realip_proxy(r);
    if (!f) {
        return VAR_ABSENT;
    }
    const addr *a = of_server ? &f->dst : &f->src;
    if (!a->len) {
        return STR_EMPTY;
    }
    char *text = pool_alloc(&r->pool, ADDR_TEXT_MAX);
    return str_of(text, addr_print_ip(a, text, ADDR_TEXT_MAX));
}

static str port_of(req *r, bool of_server)
{
    const proxy_facts *f = realip_proxy(r);
    if (!f) {
        return VAR_ABSENT;
    }
    const addr *a = of_server ? &f->dst : &f->src;
    return a->len ? var_number(r, addr_port(a)) : STR_EMPTY;
}

str var_get_proxy_protocol_addr(req *r, str arg)
{
    (void)arg;
    return ip_of(r, false);
}

str var_get_proxy_protocol_port(req *r, str arg)
{
    (void)arg;
    return port_of(r, false);
}

str var_get_proxy_protocol_server_addr(req *r, str arg)
{
    (void)arg;
    return ip_of(r, true);
}

str var_get_proxy_protocol_server_port(req *r, str arg)
{
    (void)arg;
    return port_of(r, true);
}

str var_get_proxy_protocol_tlv(req *r, str arg)
{
    const proxy_facts *f = realip_proxy(r);
    char room[12];
    str v;
    if (!f || proxyproto_tlv_named(f->tlvs, arg, room, &v) < 0) {
        return VAR_ABSENT;
    }
    return v.p == room ? pool_dup(&r->pool, v) : v;
}
