/* uri.c — the request target and the host.
 *
 * The path is checked in one pass over a class table; only a path that holds "%", "//" or "/." is
 * copied and normalised. Normalising decodes first and removes dot segments afterwards, so that
 * "%2e%2e" and "%2f" cannot smuggle a segment past the router; the result, encoded and parsed
 * again, is the same path.
 *
 * Departure: a bad "%" is refused in the path only. Queries are opaque to a gateway, are forwarded
 * as they came, and "?q=100%" is common. */
#include "http/uri.h"

#include "base/err.h"
#include "http/token_wide.h"

#include <arpa/inet.h>

enum {
    BAD = 1,      /* controls, SP, DEL, "#": not in a target */
    PATH_OK = 2,  /* stands in a path as it is (RFC 3986 pchar and "/") */
    PLAIN_OK = 4, /* unreserved: not encoded in a component; all that may stand in a host name */
    STOP = 8,     /* the path scan has to look: "%" "/" "?" */
    UPPER = 16,
};

static const uint8_t class_of[256] = {
    [0x00 ... 0x20] = BAD,
    ['#'] = BAD,
    [0x7f] = BAD,
    ['!'] = PATH_OK,
    ['$'] = PATH_OK,
    ['&' ... '*'] = PATH_OK,
    ['+' ... ','] = PATH_OK,
    ['-' ... '.'] = PATH_OK | PLAIN_OK,
    ['/'] = PATH_OK | STOP,
    ['%'] = STOP,
    ['?'] = STOP,
    ['0' ... '9'] = PATH_OK | PLAIN_OK,
    [':'] = PATH_OK,
    [';'] = PATH_OK,
    ['='] = PATH_OK,
    ['@'] = PATH_OK,
    ['A' ... 'Z'] = PATH_OK | PLAIN_OK | UPPER,
    ['_'] = PATH_OK | PLAIN_OK,
    ['a' ... 'z'] = PATH_OK | PLAIN_OK,
    ['~'] = PATH_OK | PLAIN_OK,
};

static inline unsigned class_at(str s, size_t i)
{
    return class_of[(unsigned char)s.p[i]];
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of the escape whose "%" is s.p[i]; -1 when it is none. */
static int hex_pair(str s, size_t i)
{
    if (s.n - i < 3) {
        return -1;
    }
    int high = hex_digit(s.p[i + 1]);
    int low = hex_digit(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The path being built: out[0 .. from) ends with "/", out[from .. at) is the segment being read. */
typedef struct builder {
    char *out;
    size_t from, at;
} builder;

static bool segment_is(const builder *b, const char *dots, size_t n)
{
    return b->at - b->from == n && memcmp(b->out + b->from, dots, n) == 0;
}

/* Resolves "." and ".." (RFC 3986 §5.2.4): 1 when the segment was one of them and is gone. */
static int drop_dots(builder *b)
{
    if (segment_is(b, ".", 1)) {
        b->at = b->from;
        return 1;
    }
    if (!segment_is(b, "..", 2)) {
        return 0;
    }
    if (b->from < 2) {
        return ERR_BAD_PATH; /* above the root */
    }
    size_t up = b->from - 1; /* the slash behind the segment that goes */
    while (b->out[up - 1] != '/') {
        up--;
    }
    b->from = b->at = up;
    return 1;
}

/* raw begins with "/". */
static int normalise(str raw, bool merge_slashes, pool *p, str *path)
{
    builder b = {pool_alloc(p, raw.n), 1, 1};
    b.out[0] = '/';
    for (size_t i = 1; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            int v = hex_pair(raw, i);
            if (v <= 0) {
                return ERR_BAD_PATH; /* malformed, or %00 */
            }
            c = (char)v;
            i += 2;
        }
        if (c != '/') {
            b.out[b.at++] = c;
            continue;
        }
        int rc = drop_dots(&b);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && !(merge_slashes && b.at == b.from)) {
            b.out[b.at++] = '/';
            b.from = b.at;
        }
    }
    int rc = drop_dots(&b);
    *path = str_of(b.out, b.at);
    return rc < 0 ? rc : 0;
}

/* Reads the path to its end ("?" or the input's); false when it holds what no target may. *plain:
 * the path is normalised already, as far as can be told at a glance. */
static bool scan_path(str raw, bool merge_slashes, size_t *end, bool *plain)
{
    const unsigned char *p = (const unsigned char *)raw.p;
    bool copy = false;
    size_t i = 0;
    for (;;) {
        while (i < raw.n && !(class_of[p[i]] & (BAD | STOP))) {
            i++;
        }
        if (i == raw.n || p[i] == '?') {
            break;
        }
        if (class_of[p[i]] & BAD) {
            return false;
        }
        if (p[i++] == '%') {
            copy = true;
        } else if (i < raw.n) {
            copy = copy || p[i] == '.' || (p[i] == '/' && merge_slashes);
        }
    }
    *end = i;
    *plain = !copy;
    return true;
}

/* Splits origin form; raw begins with "/". */
static int parse_path(str raw, bool merge_slashes, pool *p, uri *out)
{
    size_t i;
    bool plain;
    if (!scan_path(raw, merge_slashes, &i, &plain)) {
        return ERR_BAD_TARGET;
    }
    out->raw = raw;
    out->raw_path = str_of(raw.p, i);
    out->query = (str){NULL, 0};
    if (i < raw.n) {
        out->query = str_from(raw, i + 1);
        for (size_t k = 0; k < out->query.n; k++) {
            if (class_at(out->query, k) & BAD) {
                return ERR_BAD_TARGET;
            }
        }
    }
    out->path = out->raw_path;
    out->is_plain = plain;
    if (plain) {
        return 0;
    }
    int rc = normalise(out->raw_path, merge_slashes, p, &out->path);
    if (rc == 0 && str_eq(out->path, out->raw_path)) { /* "/.well-known" */
        out->path = out->raw_path;
        out->is_plain = true;
    }
    return rc;
}

/* host[:port] without user information, to the first "/" or "?". */
static int parse_absolute(str target, enum method m, bool merge_slashes, pool *p, uri *out)
{
    if (str_has_iprefix(target, STR("http://"))) {
        out->scheme = STR("http");
    } else if (str_has_iprefix(target, STR("https://"))) {
        out->scheme = STR("https");
    } else {
        return ERR_BAD_TARGET;
    }
    out->form = URI_ABSOLUTE;
    str rest = str_from(target, out->scheme.n + 3);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?') {
        if ((class_at(rest, end) & BAD) || rest.p[end] == '@') {
            return ERR_BAD_TARGET; /* user information: RFC 9110 §4.2.4 */
        }
        end++;
    }
    out->authority = str_of(rest.p, end);
    if (end == 0) {
        return ERR_BAD_TARGET;
    }
    str raw = str_from(rest, end);
    if (raw.n == 0 && m == METHOD_OPTIONS) { /* RFC 9112 §3.2.4 */
        out->raw = out->raw_path = out->path = STR("*");
        out->is_plain = true;
        return 0;
    }
    if (raw.n == 0) {
        raw = STR("/");
    } else if (raw.p[0] == '?') {
        raw = pool_join(p, (str[]){STR("/"), raw}, 2);
    }
    return parse_path(raw, merge_slashes, p, out);
}

static int parse_authority(str target, pool *p, uri *out)
{
    str host;
    uint16_t port;
    if (uri_host(target, p, &host, &port) < 0 || port == 0) {
        return ERR_BAD_TARGET; /* RFC 9112 §3.2.3: CONNECT names the port */
    }
    out->form = URI_AUTHORITY;
    out->authority = out->raw = target;
    out->is_plain = true;
    return 0;
}

int uri_parse(str target, enum method m, bool merge_slashes, pool *p, uri *out)
{
    out->form = URI_ORIGIN;
    out->scheme = out->authority = STR_EMPTY;
    if (m != METHOD_CONNECT && LIKELY(target.n > 0 && target.p[0] == '/')) {
        return parse_path(target, merge_slashes, p, out);
    }
    out->raw = out->raw_path = out->path = STR_EMPTY;
    out->query = (str){NULL, 0};
    out->is_plain = false;
    if (target.n == 0) {
        return ERR_BAD_TARGET;
    }
    if (m == METHOD_CONNECT) {
        return parse_authority(target, p, out);
    }
    if (target.n == 1 && target.p[0] == '*') {
        if (m != METHOD_OPTIONS) {
            return ERR_BAD_TARGET;
        }
        out->form = URI_ASTERISK;
        out->raw = out->raw_path = out->path = target;
        out->is_plain = true;
        return 0;
    }
    return parse_absolute(target, m, merge_slashes, p, out);
}

enum { HOST_MAX = 255, PORT_DIGITS_MAX = 5 };

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) (RFC 3986 §3.2.2) */
static bool is_future_address(str s)
{
    size_t dot = str_find(s, '.', 0);
    bool good = dot > 1 && dot + 1 < s.n && (s.p[0] | 0x20) == 'v';
    for (size_t i = 1; good && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        bool plain = hex || ((c | 0x20) >= 'g' && (c | 0x20) <= 'z') || (c && strchr("-._~!$&'()*+,;=:", c));
        good = i < dot ? hex : i == dot || plain;
    }
    return good;
}

/* "[" IPv6 or IPvFuture "]": its length with brackets, 0 when malformed. */
static size_t literal_length(str s)
{
    char text[INET6_ADDRSTRLEN];
    size_t close = str_find(s, ']', 0);
    if (close < s.n && close > 1 && is_future_address(str_of(s.p + 1, close - 1))) {
        return close + 1;
    }
    if (close == s.n || close - 1 >= sizeof text) {
        return 0;
    }
    memcpy(text, s.p + 1, close - 1);
    text[close - 1] = 0;
    struct in6_addr addr;
    return memchr(text, 0, close - 1) == NULL && inet_pton(AF_INET6, text, &addr) == 1 ? close + 1
                                                                                       : 0;
}

#ifdef __SSE2__
/* Up to 16 bytes, zeros behind them; nothing past the view is read. */
static inline __m128i load_short(str s)
{
    uint64_t low = 0, high = 0;
    if (s.n == 16) {
        return _mm_loadu_si128((const __m128i_u *)s.p);
    }
    if (s.n >= 8) {
        memcpy(&low, s.p, 8);
        memcpy(&high, s.p + s.n - 8, 8);
        high = s.n == 8 ? 0 : high >> 8 * (16 - s.n);
    } else {
        for (size_t i = s.n; i-- > 0;) {
            low = low << 8 | (unsigned char)s.p[i];
        }
    }
    return _mm_set_epi64x((long long)high, (long long)low);
}

/* name_length for the usual host: lower case, digits, dots, dashes, at most 16 bytes with the port;
 * 0: look closer. */
static inline size_t short_name_length(str s)
{
    if (s.n > 16) {
        return 0;
    }
    __m128i x = load_short(s);
    __m128i ok = _mm_or_si128(token_in_range(x, 'a', 26), token_in_range(x, '0', 10));
    uint32_t dots = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('.')));
    uint32_t dashes = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('-')));
    uint32_t good = (uint32_t)_mm_movemask_epi8(ok) | dots | dashes;
    if ((dots & (dots << 1 | 1)) != 0) {
        return 0;
    }
    size_t n = (size_t)__builtin_ctz(~good);
    return n == s.n || s.p[n] == ':' ? n : 0;
}
#else
static inline size_t short_name_length(str s)
{
    (void)s;
    return 0;
}
#endif

/* Length of the name or IPv4 address at the start; *classes collects the classes of its bytes.
 * Departures from reg-name (RFC 3986 §3.2.2): no sub-delims, no percent-encoding, and an empty
 * label ("a..b", ".a") gives 0. No host is called so, and what stands behind us may read it
 * differently. */
static size_t name_length(str s, unsigned *classes)
{
    size_t i = 0;
    unsigned all = 0;
    char before = '.';
    for (; i < s.n; i++) {
        char c = s.p[i];
        unsigned class = class_at(s, i);
        if (!(class & PLAIN_OK)) {
            break;
        }
        if (c == '.' && before == '.') {
            return 0;
        }
        all |= class;
        before = c;
    }
    *classes = all;
    return i;
}

/* "" or ":" [port] */
static int parse_port(str s, uint16_t *port)
{
    unsigned v = 0;
    if (s.n > 1 + PORT_DIGITS_MAX || (s.n > 0 && s.p[0] != ':')) {
        return ERR_BAD_HOST;
    }
    for (size_t i = 1; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9) {
            return ERR_BAD_HOST;
        }
        v = v * 10 + digit;
    }
    *port = (uint16_t)v;
    return v > UINT16_MAX || (v == 0 && s.n > 1) ? ERR_BAD_HOST : 0;
}

int uri_host(str value, pool *p, str *host, uint16_t *port)
{
    unsigned classes = 0;
    bool bracket = value.n > 0 && value.p[0] == '[';
    size_t n = short_name_length(value);
    if (n == 0) {
        n = bracket ? literal_length(value) : name_length(value, &classes);
    }
    if (n == 0 || n > HOST_MAX) {
        return ERR_BAD_HOST;
    }
    int rc = parse_port(str_from(value, n), port);
    if (rc < 0) {
        return rc;
    }
    if (!bracket && value.p[n - 1] == '.') {
        n--;
    }
    *host = str_of(value.p, n);
    if (bracket || (classes & UPPER)) {
        char *low = pool_alloc(p, n);
        for (size_t i = 0; i < n; i++) {
            low[i] = (char)str_lower_char((unsigned char)value.p[i]);
        }
        host->p = low;
    }
    return 0;
}

/* Percent-encodes every byte that has none of the classes in `keep`. */
static str encode(str s, unsigned keep, pool *p)
{
    size_t grow = 0;
    for (size_t i = 0; i < s.n; i++) {
        grow += class_at(s, i) & keep ? 0 : 2;
    }
    if (grow == 0) {
        return s;
    }
    char *out = pool_alloc(p, s.n + grow);
    char *at = out;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (class_of[c] & keep) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = "0123456789ABCDEF"[c >> 4];
        *at++ = "0123456789ABCDEF"[c & 15];
    }
    return str_of(out, s.n + grow);
}

str uri_encode_path(str path, pool *p)
{
    return encode(path, PATH_OK, p);
}

str uri_encode_target(str target, pool *p)
{
    char *out = pool_alloc(p, target.n * 3 + 1);
    char *at = out;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c > ' ' && c < 0x7f) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = "0123456789ABCDEF"[c >> 4];
        *at++ = "0123456789ABCDEF"[c & 15];
    }
    return str_of(out, (size_t)(at - out));
}

str uri_encode_component(str s, pool *p)
{
    return encode(s, PLAIN_OK, p);
}

str uri_decode(str s, bool form, pool *p)
{
    if (!memchr(s.p ? s.p : "", '%', s.n) && !(form && s.n && memchr(s.p, '+', s.n))) {
        return s;
    }
    char *out = pool_alloc(p, s.n);
    size_t at = 0;
    for (size_t i = 0; i < s.n; i++) {
        int v = s.p[i] == '%' ? hex_pair(s, i) : -1;
        if (v >= 0) {
            i += 2;
            out[at++] = (char)v;
        } else {
            out[at++] = form && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return str_of(out, at);
}

bool uri_query_next(str *rest, str *name, str *value)
{
    while (rest->n > 0) {
        size_t end = str_find(*rest, '&', 0);
        str pair = str_of(rest->p, end);
        *rest = str_from(*rest, end + 1);
        if (pair.n == 0) {
            continue;
        }
        size_t eq = str_find(pair, '=', 0);
        *name = str_of(pair.p, eq);
        *value = str_from(pair, eq + 1);
        return true;
    }
    return false;
}

bool uri_query_get(str query, str name, str *value)
{
    str rest = query;
    str found;
    while (uri_query_next(&rest, &found, value)) {
        if (str_eq(found, name)) {
            return true;
        }
    }
    return false;
}
