/* realip.c — see realip.h. */
#include "flow/realip.h"

#include "conf/conf.h"
#include "flow/plan.h"

static bool is_trusted(const site *s, const addr *a)
{
    for (int i = 0; i < s->ntrust; i++) {
        if (cidr_has(&s->trust[i], a)) {
            return true;
        }
    }
    return false;
}

bool realip_peer_is_trusted(const req *r)
{
    return r->site && r->site->ntrust && is_trusted(r->site, &r->client.peer);
}

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
static bool search_list(req *r, str rest, bool forwarded)
{
    str element;
    while (last_element(&rest, &element)) {
        addr a;
        if (!parse_address(forwarded ? forwarded_for_of(element) : element, &a)) {
            return true;
        }
        r->client.addr = a;
        if (!r->site->c->trust_recursive || !is_trusted(r->site, &a)) {
            return true;
        }
    }
    return false;
}

enum { FIELDS_MAX = 16 };

/* Several fields of the name are one list; fields beyond the bound, the oldest, are not looked at.
 */
static void search_fields(req *r, const field *f, bool forwarded)
{
    const field *fields[FIELDS_MAX];
    unsigned n = 0;
    for (; f; f = headers_next(&r->in.h, f)) {
        fields[n++ % FIELDS_MAX] = f;
    }
    unsigned kept = n < FIELDS_MAX ? n : FIELDS_MAX;
    for (unsigned i = 1; i <= kept; i++) {
        if (search_list(r, fields[(n - i) % FIELDS_MAX]->value, forwarded)) {
            return;
        }
    }
}

void realip_apply(req *r)
{
    r->client.addr = r->client.peer;
    if (!realip_peer_is_trusted(r)) {
        return;
    }
    r->client.ip = STR_EMPTY; /* made anew when asked for */
    const site *s = r->site;
    if (str_eq(s->c->trust_header, STR("proxy_protocol"))) {
        return; /* the connection said it already; a field of that name is just a field */
    }
    const field *f = s->trust_token ? headers_find(&r->in.h, (enum token)s->trust_token)
                                    : headers_get(&r->in.h, s->c->trust_header);
    if (f) {
        search_fields(r, f, s->trust_token == TOKEN_FORWARDED);
    }
}

static str peer_text(req *r)
{
    if (!r->site || !r->site->ntrust) {
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
