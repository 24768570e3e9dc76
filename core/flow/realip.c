/* realip.c — see realip.h. */
#include "flow/realip.h"

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "flow/plan.h"

#include <netdb.h>

bool trust_has(const trust *t, const addr *a)
{
    for (int i = 0; i < t->n; i++) {
        if (cidr_has(&t->v[i], a)) {
            return true;
        }
    }
    return false;
}

bool realip_peer_is_trusted(const req *r)
{
    return r->site && r->site->trust && trust_has(r->site->trust, &r->client.peer);
}

const proxy_facts *realip_proxy(const req *r)
{
    return r->proxy ? (const proxy_facts *)(const void *)r->proxy->data : NULL;
}

/* -- compiling */

enum { HOST_ADDRESSES_MAX = 32 };

static void add_network(trust *t, const addr *a)
{
    cidr *c = &t->v[t->n++];
    bool v6 = a->sa.sa_family == AF_INET6;
    *c = (cidr){.family = v6 ? 6 : 4, .bits = v6 ? 128 : 32};
    memcpy(c->net, v6 ? (const void *)&a->in6.sin6_addr : (const void *)&a->in.sin_addr, v6 ? 16 : 4);
}

/* Every address that the name has at load time. */
static bool add_host(trust *t, str name)
{
    char host[256];
    if (name.n == 0 || name.n >= sizeof host) {
        return false;
    }
    memcpy(host, name.p, name.n);
    host[name.n] = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0) {
        return false;
    }
    int n = 0;
    for (const struct addrinfo *one = found; one && n < HOST_ADDRESSES_MAX; one = one->ai_next) {
        addr a;
        addr_from_sockaddr(&a, one->ai_addr, one->ai_addrlen);
        if (a.sa.sa_family == AF_INET || a.sa.sa_family == AF_INET6) {
            add_network(t, &a);
            n++;
        }
    }
    freeaddrinfo(found);
    return n > 0;
}

static bool is_host(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (str_lower_char((unsigned char)s.p[i]) >= 'a' && str_lower_char((unsigned char)s.p[i]) <= 'z') {
            return str_find(s, '/', 0) == s.n && str_find(s, ':', 0) == s.n;
        }
    }
    return false;
}

int trust_new(const struct trust_args *a, pool *p, trust **out, str *bad)
{
    trust *t = pool_zalloc(p, sizeof *t);
    *out = t;
    t->v = pool_alloc(p, sizeof *t->v * (size_t)(a->from->n * HOST_ADDRESSES_MAX + 1));
    t->header = a->header.n ? a->header : STR("X-Forwarded-For");
    t->token = (uint16_t)token_find(t->header);
    t->recursive = a->recursive;
    t->from_proxy = str_eq(a->header, STR("proxy_protocol"));
    for (int i = 0; i < a->from->n; i++) {
        *bad = a->from->v[i];
        if (cidr_parse(*bad, &t->v[t->n]) == 0) {
            t->n++;
        } else if (!is_host(*bad) || !add_host(t, *bad)) {
            return ERR_CONF;
        }
    }
    return 0;
}

/* -- requests */

/* "1.2.3.4", "1.2.3.4:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80"; never a socket path.
 */
static bool parse_address(str s, addr *out)
{
    s = str_trim(s);
    if (!s.n || s.n >= ADDR_TEXT_MAX || s.p[0] == 'u') {
        return false;
    }
    if (s.p[0] == '[' && s.p[s.n - 1] == ']') {
        s = str_of(s.p + 1, s.n - 2);
    }
    return addr_parse(s, 0, out) == 0 && out->len != 0;
}

/* The value of "for" in one element of Forwarded (RFC 7239 §4): for="[2001:db8::1]:80";proto=https.
 */
static str forwarded_for_of(str element)
{
    str pair;
    while (str_split(&element, ';', &pair)) {
        if (!str_has_iprefix(pair, STR("for="))) {
            continue;
        }
        str v = str_trim(str_from(pair, 4));
        if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"') {
            v = str_of(v.p + 1, v.n - 2);
        }
        return v;
    }
    return STR_EMPTY;
}

/* Cuts the last element off a comma-separated list; false when nothing is left. */
static bool last_element(str *rest, str *out)
{
    if (!rest->n) {
        return false;
    }
    size_t at = rest->n;
    while (at > 0 && rest->p[at - 1] != ',') {
        at--;
    }
    *out = str_of(rest->p + at, rest->n - at);
    rest->n = at ? at - 1 : 0;
    return true;
}

/* One field's list from the right. True: the search is over. */
static bool search_list(const trust *t, str rest, addr *client)
{
    str element;
    while (last_element(&rest, &element)) {
        addr a;
        if (!parse_address(t->token == TOKEN_FORWARDED ? forwarded_for_of(element) : element, &a)) {
            return true;
        }
        *client = a;
        if (!t->recursive || !trust_has(t, &a)) {
            return true;
        }
    }
    return false;
}

enum { FIELDS_MAX = 16 };

/* Several fields of the name are one list; fields beyond the bound, the oldest, are not looked at.
 */
static void search_fields(const trust *t, const headers *h, const field *f, addr *client)
{
    const field *fields[FIELDS_MAX];
    unsigned n = 0;
    for (; f; f = headers_next(h, f)) {
        fields[n++ % FIELDS_MAX] = f;
    }
    unsigned kept = n < FIELDS_MAX ? n : FIELDS_MAX;
    for (unsigned i = 1; i <= kept; i++) {
        if (search_list(t, fields[(n - i) % FIELDS_MAX]->value, client)) {
            return;
        }
    }
}

void realip_walk(const headers *h, const trust *t, addr *client)
{
    const field *f = trust_has(t, client) ? headers_find(h, TOKEN_X_FORWARDED_FOR) : NULL;
    if (f) {
        search_fields(t, h, f, client);
    }
}

static void apply(req *r, const trust *t)
{
    if (t->from_proxy) {
        const proxy_facts *said = realip_proxy(r);
        if (said && said->src.len) {
            r->client.addr = said->src;
        }
        return; /* a field of that name is just a field */
    }
    const field *f = t->token ? headers_find(&r->in.h, (enum token)t->token) : headers_get(&r->in.h, t->header);
    if (f) {
        search_fields(t, &r->in.h, f, &r->client.addr);
    }
}

void realip_apply(req *r)
{
    r->client.addr = r->client.peer;
    if (realip_peer_is_trusted(r)) {
        r->client.ip = STR_EMPTY; /* made anew when asked for */
        apply(r, r->site->trust);
    }
}

void realip_apply_late(req *r, const trust *t)
{
    if (addr_eq(&r->client.addr, &r->client.peer) && trust_has(t, &r->client.peer)) {
        r->client.ip = STR_EMPTY;
        apply(r, t);
    }
}

static str peer_text(req *r)
{
    if (!r->site || !r->site->trust) {
        return req_client_ip(r); /* nobody is believed: the client is the peer */
    }
    char *buf = pool_alloc(&r->pool, ADDR_TEXT_MAX);
    return str_of(buf, addr_print_ip(&r->client.peer, buf, ADDR_TEXT_MAX));
}

str realip_forwarded_for(req *r)
{
    str own = peer_text(r);
    if (!headers_may_have(&r->in.h, TOKEN_X_FORWARDED_FOR) || !realip_peer_is_trusted(r)) {
        return own;
    }
    str before = headers_joined(&r->in.h, STR("X-Forwarded-For"));
    if (!before.n) {
        return own;
    }
    const str parts[3] = {before, STR(", "), own};
    return pool_join(&r->pool, parts, 3);
}

static str trusted_value(req *r, enum token t)
{
    const field *f = headers_find(&r->in.h, t);
    return f && f->value.n && realip_peer_is_trusted(r) ? f->value : STR_EMPTY;
}

str realip_forwarded_proto(req *r)
{
    str v = trusted_value(r, TOKEN_X_FORWARDED_PROTO);
    return v.n ? v : r->client.tls ? STR("https") : STR("http");
}

str realip_forwarded_host(req *r)
{
    str v = trusted_value(r, TOKEN_X_FORWARDED_HOST);
    return v.n ? v : r->host_field;
}
