/* proxyproto.c — PROXY protocol 1 and 2 (haproxy's proxy-protocol.txt). Which version came is told
 * by the first byte; a connection that begins with anything else is closed. */
#include "http/proxyproto.h"

#include "base/err.h"
#include "base/fmt.h"

#include <arpa/inet.h>

enum { V1_MAX = 107, V2_HEAD = 16, V2_INET = 12, V2_INET6 = 36, V2_MAX = 4096 };

static const char signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static bool take_address(str *rest, int family, uint8_t *out)
{
    char text[INET6_ADDRSTRLEN];
    size_t n = str_find(*rest, ' ', 0);
    if (n == rest->n || n >= sizeof text || n == 0 || memchr(rest->p, 0, n)) {
        return false;
    }
    memcpy(text, rest->p, n);
    text[n] = 0;
    *rest = str_from(*rest, n + 1);
    return inet_pton(family, text, out) == 1;
}

/* The digits up to `end`; no leading zero, as the specification says. */
static bool take_port(str *rest, char end, uint16_t *out)
{
    size_t n = str_find(*rest, end, 0);
    uint64_t v;
    str digits = str_of(rest->p, n);
    if (n == 0 || n > 5 || (n > 1 && rest->p[0] == '0') || str_to_u64(digits, &v) < 0 ||
        v > UINT16_MAX) {
        return false;
    }
    *rest = str_from(*rest, n + 1);
    *out = (uint16_t)v;
    return true;
}

/* `rest` is the line behind "PROXY ", without its end. */
static int parse_v1_fields(str rest, proxyproto *out)
{
    if (str_has_prefix(rest, STR("UNKNOWN"))) {
        return 0;
    }
    bool is6 = str_has_prefix(rest, STR("TCP6 "));
    if (!is6 && !str_has_prefix(rest, STR("TCP4 "))) {
        return ERR_INVALID;
    }
    int family = is6 ? AF_INET6 : AF_INET;
    rest = str_from(rest, 5);
    if (!take_address(&rest, family, out->src) || !take_address(&rest, family, out->dst) ||
        !take_port(&rest, ' ', &out->src_port) || rest.n == 0) {
        return ERR_INVALID;
    }
    if (str_find(rest, ' ', 0) != rest.n || !take_port(&rest, '\r', &out->dst_port)) {
        return ERR_INVALID;
    }
    out->family = is6 ? 6 : 4;
    return 0;
}

static int parse_v1(str in, proxyproto *out)
{
    static const char start[] = "PROXY ";
    for (size_t i = 0; i < 6; i++) {
        if (i == in.n) {
            return ERR_AGAIN;
        }
        if (in.p[i] != start[i]) {
            return ERR_INVALID;
        }
    }
    size_t seen = in.n < V1_MAX ? in.n : V1_MAX;
    size_t lf = str_find(str_of(in.p, seen), '\n', 0);
    if (lf == seen) {
        return seen == V1_MAX ? ERR_INVALID : ERR_AGAIN;
    }
    if (in.p[lf - 1] != '\r') {
        return ERR_INVALID;
    }
    int rc = parse_v1_fields(str_of(in.p + 6, lf - 7), out);
    return rc < 0 ? rc : (int)lf + 1;
}

static uint16_t big16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

/* `body` is what follows the 16 fixed bytes. */
static int parse_v2_addresses(unsigned family, str body, proxyproto *out)
{
    size_t size = family == 1 ? 4 : 16;
    size_t need = family == 1 ? V2_INET : V2_INET6;
    if (body.n < need) {
        return ERR_INVALID;
    }
    memcpy(out->src, body.p, size);
    memcpy(out->dst, body.p + size, size);
    out->src_port = big16(body.p + 2 * size);
    out->dst_port = big16(body.p + 2 * size + 2);
    out->family = family == 1 ? 4 : 6;
    out->tlvs = str_from(body, need);
    return 0;
}

static int parse_v2(str in, proxyproto *out)
{
    size_t n = in.n < sizeof signature ? in.n : sizeof signature;
    if (memcmp(in.p, signature, n) != 0) {
        return ERR_INVALID;
    }
    if (in.n < V2_HEAD) {
        return ERR_AGAIN;
    }
    unsigned version_command = (unsigned char)in.p[12];
    unsigned family = (unsigned char)in.p[13] >> 4;
    unsigned transport = (unsigned char)in.p[13] & 15;
    size_t length = big16(in.p + 14);
    if (version_command >> 4 != 2 || (version_command & 15) > 1 || length > V2_MAX) {
        return ERR_INVALID;
    }
    if (in.n < V2_HEAD + length) {
        return ERR_AGAIN;
    }
    out->reserved = family > 3 || transport > 2;
    str body = str_of(in.p + V2_HEAD, length);
    bool local = (version_command & 15) == 0;
    /* LOCAL, AF_UNSPEC, AF_UNIX, datagrams: the connection's own addresses count */
    if (!local && (family == 1 || family == 2) && transport == 1) {
        int rc = parse_v2_addresses(family, body, out);
        if (rc < 0) {
            return rc;
        }
    }
    return (int)(V2_HEAD + length);
}

int proxyproto_parse(str in, proxyproto *out)
{
    *out = (proxyproto){.tlvs = STR_EMPTY};
    if (in.n == 0) {
        return ERR_AGAIN;
    }
    return in.p[0] == '\r' ? parse_v2(in, out) : parse_v1(in, out);
}

/* -- TLVs: one byte of type, two of length, the value */

int proxyproto_tlv(str tlvs, unsigned type, str *out)
{
    while (tlvs.n) {
        if (tlvs.n < 3 || tlvs.n - 3 < big16(tlvs.p + 1)) {
            return ERR_INVALID;
        }
        size_t n = big16(tlvs.p + 1);
        if ((unsigned char)tlvs.p[0] == type) {
            *out = str_of(tlvs.p + 3, n);
            return 0;
        }
        tlvs = str_from(tlvs, 3 + n);
    }
    return ERR_NOT_FOUND;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)str_lower_char((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Any number of zeros may stand in front. */
static int hex_byte(str digits)
{
    int n = digits.n ? 0 : -1;
    for (size_t i = 0; i < digits.n && n >= 0; i++) {
        int digit = hex_digit(digits.p[i]);
        n = digit < 0 || n > 15 ? -1 : n * 16 + digit;
    }
    return n;
}

/* Type of a name; -1: none. */
static int tlv_type(str name, bool in_tls)
{
    static const struct {
        const char *name;
        int type;
        bool in_tls;
    } known[] = {{"alpn", 0x01, false},   {"authority", 0x02, false}, {"unique_id", 0x05, false}, {"ssl", 0x20, false},    {"netns", 0x30, false},
                 {"version", 0x21, true}, {"cn", 0x22, true},         {"cipher", 0x23, true},     {"sig_alg", 0x24, true}, {"key_alg", 0x25, true}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].in_tls == in_tls && str_eq(name, str_c(known[i].name))) {
            return known[i].type;
        }
    }
    return str_has_prefix(name, STR("0x")) ? hex_byte(str_from(name, 2)) : -1;
}

enum { TLS_TLV = 0x20, TLS_TLV_HEAD = 5 /* client flags, and four bytes of verification */ };

int proxyproto_tlv_named(str tlvs, str name, char room[12], str *out)
{
    bool in_tls = str_has_prefix(name, STR("ssl_"));
    if (in_tls) {
        str tls;
        int rc = proxyproto_tlv(tlvs, TLS_TLV, &tls);
        if (rc < 0 || tls.n < TLS_TLV_HEAD) {
            return rc < 0 ? rc : ERR_INVALID;
        }
        name = str_from(name, 4);
        if (str_eq(name, STR("verify"))) {
            fmt f = fmt_of(room, 12);
            fmt_u64(&f, (uint64_t)big16(tls.p + 1) << 16 | big16(tls.p + 3));
            *out = fmt_str(&f);
            return 0;
        }
        tlvs = str_from(tls, TLS_TLV_HEAD);
    }
    int type = tlv_type(name, in_tls);
    return type < 0 ? ERR_NOT_FOUND : proxyproto_tlv(tlvs, (unsigned)type, out);
}

static void put_address(fmt *f, int family, const uint8_t *addr)
{
    char text[INET6_ADDRSTRLEN];
    if (inet_ntop(family, addr, text, sizeof text)) {
        fmt_put(f, str_c(text));
    }
    fmt_char(f, ' ');
}

static void write_v1(const proxyproto *pp, fmt *f)
{
    if (pp->family == 0) {
        fmt_put(f, STR("PROXY UNKNOWN\r\n"));
        return;
    }
    int family = pp->family == 6 ? AF_INET6 : AF_INET;
    fmt_put(f, pp->family == 6 ? STR("PROXY TCP6 ") : STR("PROXY TCP4 "));
    put_address(f, family, pp->src);
    put_address(f, family, pp->dst);
    fmt_u64(f, pp->src_port);
    fmt_char(f, ' ');
    fmt_u64(f, pp->dst_port);
    fmt_put(f, STR("\r\n"));
}

static void put_big16(fmt *f, unsigned v)
{
    fmt_char(f, (char)(v >> 8));
    fmt_char(f, (char)(v & 0xff));
}

static void write_v2(const proxyproto *pp, fmt *f)
{
    size_t size = pp->family == 6 ? 16 : 4;
    fmt_bytes(f, signature, sizeof signature);
    fmt_char(f, pp->family ? 0x21 : 0x20);
    fmt_char(f, pp->family == 6 ? 0x21 : pp->family == 4 ? 0x11 : 0);
    put_big16(f, pp->family == 6 ? V2_INET6 : pp->family == 4 ? V2_INET : 0);
    if (pp->family) {
        fmt_bytes(f, pp->src, size);
        fmt_bytes(f, pp->dst, size);
        put_big16(f, pp->src_port);
        put_big16(f, pp->dst_port);
    }
}

size_t proxyproto_write(const proxyproto *pp, int version, char *buf, size_t cap)
{
    fmt f = fmt_of(buf, cap);
    if (version == 1) {
        write_v1(pp, &f);
    } else {
        write_v2(pp, &f);
    }
    return f.cut ? 0 : fmt_str(&f).n;
}
