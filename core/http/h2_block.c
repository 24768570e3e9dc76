/* h2_block.c — see h2_block.h. */
#include "http/h2_block.h"

#include "base/err.h"
#include "base/fmt.h"
#include "base/rand.h"
#include "http/framing.h"

enum { METHOD = 1, SCHEME = 2, PATH = 4, AUTHORITY = 8, PROTOCOL = 16, STATUS = 32 };
enum { METHOD_MAX = 32, FIELD_OVERHEAD = 32 };

void h2_block_init(h2_block *b, msg *m, const h1_limits *lim)
{
    *b = (h2_block){.m = m, .lim = lim};
}

static int fail(h2_block *b, int err)
{
    b->err = b->err ? b->err : err;
    return b->err;
}

static str keep(h2_block *b, str s, bool lasting)
{
    return lasting ? s : pool_dup(b->m->h.pool, s);
}

/* ---- pseudo-header fields */

static unsigned pseudo_of(str name)
{
    switch (name.n) {
    case 5:
        return str_eq(name, STR(":path")) ? PATH : 0;
    case 7:
        return str_eq(name, STR(":method")) ? METHOD
               : str_eq(name, STR(":scheme")) ? SCHEME
               : str_eq(name, STR(":status")) ? STATUS : 0;
    case 9:
        return str_eq(name, STR(":protocol")) ? PROTOCOL : 0;
    case 10:
        return str_eq(name, STR(":authority")) ? AUTHORITY : 0;
    default:
        return 0;
    }
}

/* RFC 9113 §8.3: known, each once, before all others. */
static void add_pseudo(h2_block *b, str name, str value)
{
    unsigned which = pseudo_of(name);
    if (!which || which == STATUS || b->regular || (b->seen & which)) {
        fail(b, ERR_BAD_START_LINE);
        return;
    }
    b->seen |= (uint8_t)which;
    switch (which) {
    case METHOD:
        b->m->method_name = value;
        break;
    case SCHEME:
        b->scheme = value;
        break;
    case PATH:
        b->path = value;
        break;
    case AUTHORITY:
        b->authority = value;
        break;
    default: /* RFC 8441 §4; other protocols have no meaning here */
        b->websocket = str_eq(value, STR("websocket"));
        if (!b->websocket) {
            fail(b, ERR_BAD_METHOD);
        }
        break;
    }
}

/* ---- fields */

/* RFC 9113 §8.2.1: no upper case, no controls, no space, no colon. Other bytes that are no tchar may be dropped with their field. */
static int judge_name(const h2_block *b, str name, bool *drop)
{
    bool underscore = false;
    bool odd = false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= 0x20 || c == 0x7f || c == ':' || (c >= 'A' && c <= 'Z')) {
            return ERR_BAD_FIELD_NAME;
        }
        underscore = underscore || c == '_';
        odd = odd || c >= 0x7f || strchr("\"(),/;<=>?@[\\]{}", c);
    }
    if (name.n == 0 || odd) {
        *drop = true;
        return b->lim->drop_invalid ? 0 : ERR_BAD_FIELD_NAME;
    }
    *drop = underscore && (b->lim->drop_underscore || token_is_lookalike(name));
    return 0;
}

static bool has_upper(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'A' && s.p[i] <= 'Z') {
            return true;
        }
    }
    return false;
}

static void add_field(h2_block *b, str name, str value, bool lasting)
{
    enum token t = token_find(name);
    bool drop = false;
    int rc = t == TOKEN_NONE ? judge_name(b, name, &drop) : has_upper(name) ? ERR_BAD_FIELD_NAME : 0;
    value = str_trim(value);
    if (rc == 0 && !headers_value_is_ok(value)) {
        rc = ERR_BAD_FIELD_VALUE;
    }
    if (rc < 0) {
        fail(b, rc);
        return;
    }
    if (drop) {
        return;
    }
    headers *h = &b->m->h;
    b->cookies = b->cookies || (t == TOKEN_COOKIE && headers_may_have(h, t));
    name = t == TOKEN_NONE ? keep(b, name, lasting) : token_name(t);
    rc = headers_add(h, name, keep(b, value, lasting));
    if (rc < 0) {
        fail(b, ERR_HEAD_TOO_LARGE);
    }
}

/* Where the head is held to lines and buffers (h1_limits.buffers), so is the block: no name or value longer than a line, all of them no longer than all buffers. */
static bool exceeds(const h2_block *b, size_t size, str name, str value)
{
    const h1_limits *lim = b->lim;
    if (!lim->buffers) {
        return size > lim->head;
    }
    return name.n > lim->line || value.n > lim->line || b->bytes > (size_t)lim->line * lim->buffers;
}

void h2_block_add(h2_block *b, str name, str value, bool lasting)
{
    size_t size = (size_t)b->size + name.n + value.n + FIELD_OVERHEAD;
    b->size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    b->bytes += name.n + value.n;
    bool pseudo = name.n && name.p[0] == ':';
    b->fields += !pseudo && b->fields < UINT16_MAX;
    if (b->err) {
        return;
    }
    if (exceeds(b, size, name, value)) {
        b->excess = true;
        fail(b, ERR_HEAD_TOO_LARGE);
    } else if (b->fields > b->lim->fields) {
        fail(b, ERR_HEAD_TOO_LARGE);
    } else if (pseudo) {
        add_pseudo(b, name, keep(b, value, lasting));
    } else {
        b->regular = true;
        add_field(b, name, value, lasting);
    }
}

/* ---- the whole */

/* Crumbs make one field again, for those behind us who read HTTP/1 (RFC 9113 §8.2.3). */
static void join_cookies(headers *h)
{
    field *first = headers_find(h, TOKEN_COOKIE);
    size_t n = 0;
    for (const field *f = first; f; f = headers_next(h, f)) {
        n += f->value.n + 2;
    }
    char *all = pool_alloc(h->pool, n);
    fmt out = fmt_of(all, n);
    for (const field *f = first; f; f = headers_next(h, f)) {
        if (f != first) {
            fmt_put(&out, STR("; "));
        }
        fmt_put(&out, f->value);
    }
    for (field *f = headers_next(h, first), *next; f; f = next) {
        next = headers_next(h, f);
        f->name.n = 0;
        h->live--;
    }
    first->value = fmt_str(&out);
}

/* The request's words, as h1_parse judges a request line. */
static int read_method(h2_block *b)
{
    msg *m = b->m;
    if (m->method_name.n == 0 || m->method_name.n > METHOD_MAX || !headers_name_is_ok(m->method_name)) {
        return ERR_BAD_METHOD;
    }
    for (size_t i = 0; i < m->method_name.n; i++) {
        if (m->method_name.p[i] >= 'a' && m->method_name.p[i] <= 'z') {
            return ERR_BAD_METHOD; /* "get" is a mistake */
        }
    }
    m->method = (uint8_t)method_find(m->method_name);
    return 0;
}

/* RFC 9113 §8.3.1: the path, or "*" of OPTIONS; never an absolute form, whose authority would be another one. */
static int read_target(h2_block *b)
{
    b->m->target = b->path;
    if (b->path.n > b->lim->target) {
        return ERR_URI_TOO_LONG;
    }
    bool star = b->m->method == METHOD_OPTIONS && str_eq(b->path, STR("*"));
    return star || (b->path.n && b->path.p[0] == '/') ? 0 : ERR_BAD_TARGET;
}

/* :authority is the host; a Host beside it must say the same (RFC 9113 §8.3.1). */
static int read_authority(h2_block *b)
{
    headers *h = &b->m->h;
    if (!b->authority.n) {
        return 0;
    }
    field *host = headers_may_have(h, TOKEN_HOST) ? headers_find(h, TOKEN_HOST) : NULL;
    if (host) {
        return str_ieq(host->value, b->authority) ? 0 : ERR_BAD_HOST;
    }
    return headers_add(h, token_name(TOKEN_HOST), b->authority) < 0 ? ERR_HEAD_TOO_LARGE : 0;
}

static bool scheme_is_ok(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = str_lower_char((unsigned char)s.p[i]);
        bool later = i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.');
        if (!((c >= 'a' && c <= 'z') || later)) {
            return false;
        }
    }
    return s.n > 0;
}

/* RFC 9113 §8.3.1, §8.5, RFC 8441 §4: which pseudo-header fields a request needs. */
static bool has_what_it_needs(const h2_block *b)
{
    if (b->m->method == METHOD_CONNECT && !b->websocket) {
        return (b->seen & (AUTHORITY | SCHEME | PATH)) == AUTHORITY;
    }
    if (b->websocket && (b->m->method != METHOD_CONNECT || !(b->seen & AUTHORITY))) {
        return false;
    }
    return (b->seen & (SCHEME | PATH)) == (SCHEME | PATH) && scheme_is_ok(b->scheme);
}

/* The key that HTTP/1.1 wants (RFC 6455 §4.1): 16 random bytes in base64. */
static str make_key(pool *p)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char raw[18] = {0};
    rand_secure(raw, 16);
    char *out = pool_alloc(p, 24);
    for (int i = 0; i < 6; i++) {
        unsigned v = (unsigned)raw[3 * i] << 16 | (unsigned)raw[3 * i + 1] << 8 | raw[3 * i + 2];
        for (int k = 0; k < 4; k++) {
            out[4 * i + k] = digits[v >> (18 - 6 * k) & 63];
        }
    }
    out[22] = out[23] = '=';
    return str_of(out, 24);
}

/* RFC 8441 §5: what HTTP/1.1 calls a GET with an upgrade. */
static int become_upgrade(h2_block *b)
{
    msg *m = b->m;
    m->method = METHOD_GET;
    m->method_name = method_name(METHOD_GET);
    m->upgrade = true;
    m->body = MSG_BODY_NONE;
    m->length = -1;
    m->expect_continue = false;
    int rc = headers_set(&m->h, token_name(TOKEN_SEC_WEBSOCKET_KEY), make_key(m->h.pool));
    return rc < 0 ? ERR_HEAD_TOO_LARGE : 0;
}

int h2_block_request(h2_block *b, bool ended)
{
    msg *m = b->m;
    m->version = HTTP_2;
    if (b->cookies) {
        join_cookies(&m->h);
    }
    int rc = b->err;
    rc = rc ? rc : !(b->seen & METHOD) ? ERR_BAD_START_LINE : read_method(b);
    rc = rc || has_what_it_needs(b) ? rc : ERR_BAD_START_LINE;
    if (rc == 0 && (m->method != METHOD_CONNECT || b->websocket)) {
        rc = read_target(b);
    }
    rc = rc ? rc : read_authority(b);
    rc = rc ? rc : framing_request_h2(m, ended);
    if (rc == 0 && b->websocket) {
        rc = ended ? ERR_BAD_START_LINE : become_upgrade(b);
    }
    b->err = rc;
    return rc;
}

int h2_block_trailers(h2_block *b)
{
    headers *h = &b->m->h;
    if (b->err || b->seen) {
        return fail(b, ERR_BAD_TRAILER);
    }
    uint32_t at = 0;
    for (field *f; (f = headers_each(h, &at)) != NULL;) {
        if (!token_may_trail((enum token)f->token)) {
            headers_remove(h, f->name);
        }
    }
    return 0;
}
