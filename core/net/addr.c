/* addr.c — socket addresses as text and back, and CIDR matching. No name lookups here. */
#include "net/addr.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { UNIX_PATH_MAX_ = sizeof(((struct sockaddr_un *)0)->sun_path) };

static int parse_port(str text, uint16_t *port)
{
    uint64_t n = 0;
    if (str_to_u64(text, &n) < 0 || n > 65535) {
        return ERR_INVALID;
    }
    *port = (uint16_t)n;
    return 0;
}

/* inet_pton wants a terminated string; anything longer than the longest literal is none. */
static int parse_ip(int family, str text, void *out)
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, '\0', text.n)) {
        return ERR_INVALID;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    return inet_pton(family, z, out) == 1 ? 0 : ERR_INVALID;
}

static int parse_v6(str ip, uint16_t port, addr *out)
{
    if (parse_ip(AF_INET6, ip, &out->in6.sin6_addr) < 0) {
        return ERR_INVALID;
    }
    out->in6.sin6_family = AF_INET6;
    out->in6.sin6_port = htons(port);
    out->len = sizeof out->in6;
    return 0;
}

static int parse_v4(str ip, uint16_t port, addr *out)
{
    if (parse_ip(AF_INET, ip, &out->in.sin_addr) < 0) {
        return ERR_INVALID;
    }
    out->in.sin_family = AF_INET;
    out->in.sin_port = htons(port);
    out->len = sizeof out->in;
    return 0;
}

static int parse_unix(str path, addr *out)
{
    if (path.n == 0 || path.n >= UNIX_PATH_MAX_ || memchr(path.p, '\0', path.n)) {
        return ERR_INVALID;
    }
    out->sa.sa_family = AF_UNIX;
    out->unix_path = path.p; /* configuration strings are terminated; addr.h says so */
    out->len = sizeof(struct sockaddr_un);
    return 0;
}

int addr_parse(str text, uint16_t default_port, addr *out)
{
    uint16_t port = default_port;
    memset(out, 0, sizeof *out);
    if (str_has_prefix(text, STR("unix:"))) {
        return parse_unix(str_from(text, 5), out);
    }
    if (text.n && text.p[0] == '[') {
        size_t close = str_find(text, ']', 1);
        if (close == text.n) {
            return ERR_INVALID;
        }
        str rest = str_from(text, close + 1);
        if (rest.n && (rest.p[0] != ':' || parse_port(str_from(rest, 1), &port) < 0)) {
            return ERR_INVALID;
        }
        return parse_v6(str_of(text.p + 1, close - 1), port, out);
    }
    size_t colon = str_find(text, ':', 0);
    if (colon < text.n && str_find(text, ':', colon + 1) < text.n) {
        return parse_v6(text, port, out);
    }
    if (colon < text.n && parse_port(str_from(text, colon + 1), &port) < 0) {
        return ERR_INVALID;
    }
    return parse_v4(str_of(text.p, colon), port, out);
}

static size_t bounded(int n, size_t cap)
{
    if (n < 0 || cap == 0) {
        return 0;
    }
    return (size_t)n < cap ? (size_t)n : cap - 1;
}

/* Per request (forwarded fields, logs): no printf. Returns past the last byte written. */
static char *put_byte(char *p, unsigned v)
{
    if (v >= 100) {
        *p++ = (char)('0' + v / 100);
    }
    if (v >= 10) {
        *p++ = (char)('0' + v / 10 % 10);
    }
    *p++ = (char)('0' + v % 10);
    return p;
}

static size_t print_v4(const struct in_addr *in, char *buf)
{
    const unsigned char *b = (const unsigned char *)in;
    char *p = put_byte(buf, b[0]);
    for (int i = 1; i < 4; i++) {
        *p++ = '.';
        p = put_byte(p, b[i]);
    }
    *p = '\0';
    return (size_t)(p - buf);
}

size_t addr_print_ip(const addr *a, char *buf, size_t cap)
{
    char ip[INET6_ADDRSTRLEN];
    if (a->len == 0) {
        return bounded(snprintf(buf, cap, "-"), cap);
    }
    if (a->sa.sa_family == AF_INET && cap >= INET_ADDRSTRLEN) {
        return print_v4(&a->in.sin_addr, buf);
    }
    if (a->sa.sa_family == AF_UNIX) {
        return bounded(snprintf(buf, cap, "unix:"), cap);
    }
    if (a->sa.sa_family == AF_INET) {
        print_v4(&a->in.sin_addr, ip);
    } else {
        inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof ip);
    }
    return bounded(snprintf(buf, cap, "%s", ip), cap);
}

size_t addr_print(const addr *a, char *buf, size_t cap)
{
    char ip[INET6_ADDRSTRLEN];
    if (a->len == 0 || a->sa.sa_family == AF_UNIX) {
        return a->len && a->unix_path ? bounded(snprintf(buf, cap, "unix:%s", a->unix_path), cap)
                                      : addr_print_ip(a, buf, cap);
    }
    addr_print_ip(a, ip, sizeof ip);
    bool v6 = a->sa.sa_family == AF_INET6;
    return bounded(snprintf(buf, cap, "%s%s%s:%u", v6 ? "[" : "", ip, v6 ? "]" : "", addr_port(a)), cap);
}

uint16_t addr_port(const addr *a)
{
    if (a->len == 0 || a->sa.sa_family == AF_UNIX) {
        return 0;
    }
    return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

void addr_set_port(addr *a, uint16_t port)
{
    if (a->len == 0 || a->sa.sa_family == AF_UNIX) {
        return;
    }
    if (a->sa.sa_family == AF_INET) {
        a->in.sin_port = htons(port);
    } else {
        a->in6.sin6_port = htons(port);
    }
}

bool addr_eq(const addr *a, const addr *b)
{
    if (a->len == 0 || b->len == 0) {
        return a->len == b->len;
    }
    if (a->sa.sa_family != b->sa.sa_family) {
        return false;
    }
    if (a->sa.sa_family == AF_UNIX) {
        return str_eq(str_c(a->unix_path), str_c(b->unix_path));
    }
    if (a->sa.sa_family == AF_INET) {
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr && a->in.sin_port == b->in.sin_port;
    }
    return a->in6.sin6_port == b->in6.sin6_port && a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
           memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

socklen_t addr_to_sockaddr(const addr *a, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (a->len == 0) {
        return 0;
    }
    if (a->sa.sa_family != AF_UNIX) {
        memcpy(ss, &a->sa, a->len);
        return a->len;
    }
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = a->unix_path ? strnlen(a->unix_path, UNIX_PATH_MAX_ - 1) : 0;
    if (n) {
        memcpy(un.sun_path, a->unix_path, n);
    }
    memcpy(ss, &un, sizeof un);
    return sizeof un;
}

void addr_from_sockaddr(addr *a, const struct sockaddr *sa, socklen_t len)
{
    memset(a, 0, sizeof *a);
    if (sa->sa_family == AF_INET && len >= sizeof a->in) {
        memcpy(&a->in, sa, sizeof a->in);
        a->len = sizeof a->in;
    } else if (sa->sa_family == AF_INET6 && len >= sizeof a->in6) {
        memcpy(&a->in6, sa, sizeof a->in6);
        a->len = sizeof a->in6;
    } else if (sa->sa_family == AF_UNIX) {
        a->sa.sa_family = AF_UNIX; /* a client's end has no name worth keeping */
        a->len = sizeof(struct sockaddr_un);
    }
}

int cidr_parse(str text, cidr *out)
{
    addr a;
    memset(out, 0, sizeof *out);
    if (str_eq(text, STR("unix:"))) {
        return 0;
    }
    size_t slash = str_find(text, '/', 0);
    str ip = str_of(text.p, slash);
    memset(&a, 0, sizeof a);
    if (parse_v4(ip, 0, &a) == 0) {
        out->family = 4;
        memcpy(out->net, &a.in.sin_addr, 4);
    } else if (parse_v6(ip, 0, &a) == 0) {
        out->family = 6;
        memcpy(out->net, &a.in6.sin6_addr, 16);
    } else {
        return ERR_INVALID;
    }
    uint64_t max = out->family == 4 ? 32 : 128, bits = max;
    if (slash < text.n && (str_to_u64(str_from(text, slash + 1), &bits) < 0 || bits > max)) {
        return ERR_INVALID;
    }
    out->bits = (uint8_t)bits;
    return 0;
}

static bool prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool cidr_has(const cidr *c, const addr *a)
{
    if (a->len == 0) {
        return false;
    }
    if (c->family == 0 || a->sa.sa_family == AF_UNIX) {
        return c->family == 0 && a->sa.sa_family == AF_UNIX;
    }
    if (a->sa.sa_family == AF_INET) {
        return c->family == 4 && prefix_eq(c->net, (const uint8_t *)&a->in.sin_addr, c->bits);
    }
    const uint8_t *ip = a->in6.sin6_addr.s6_addr;
    if (c->family == 4) {
        return IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr) && prefix_eq(c->net, ip + 12, c->bits);
    }
    return prefix_eq(c->net, ip, c->bits);
}
