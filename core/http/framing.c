/* framing.c — where a message ends and whether the connection lives on.
 *
 * Everything two parsers might read differently is refused here (RFC 9112 §6.3, §11.2): a message
 * passes only when there is one way to frame it. One walk over the fields looks at the few that
 * matter. */
#include "http/framing.h"

#include "base/err.h"
#include "http/status.h"
#include "http/uri.h"

enum { HOP = TOKEN_FLAG_HOP, NAMED_MAX = 32 };

/* Tokens that the walk looks at: HOP fields and three more. */
static const bool is_looked_at[TOKEN_COUNT] = {
#define X(id, name, flags)                                                                         \
    [TOKEN_##id] = ((flags)&HOP) || TOKEN_##id == TOKEN_HOST ||                                    \
                   TOKEN_##id == TOKEN_CONTENT_LENGTH || TOKEN_##id == TOKEN_EXPECT,
#include "http/token.def"
#undef X
};

/* What the walk found. */
typedef struct found {
    field *host, *length, *transfer, *expect;
    uint16_t hosts, lengths, transfers, expects;
    bool close, keep_alive, upgrade; /* elements of Connection */
    bool names;                      /* Connection has other elements */
} found;

static inline uint64_t load64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v | 0x2020202020202020u;
}

/* `lower` has 8 to 16 bytes. Folding by 0x20 is exact for letters, digits and "-", as values hold
 * no controls. */
static inline bool same_word(str v, str lower)
{
    return v.n == lower.n && load64(v.p) == load64(lower.p) &&
           load64(v.p + v.n - 8) == load64(lower.p + lower.n - 8);
}

static void read_connection_element(str e, found *f)
{
    if (str_ieq(e, STR("close"))) {
        f->close = true;
    } else if (str_ieq(e, STR("keep-alive"))) {
        f->keep_alive = true;
    } else if (str_ieq(e, STR("upgrade"))) {
        f->upgrade = true;
    } else if (e.n > 0) {
        f->names = true;
    }
}

static void read_connection(str value, found *f)
{
    if (LIKELY(same_word(value, STR("keep-alive")))) {
        f->keep_alive = true;
        return;
    }
    str rest = value;
    str e;
    while (str_split(&rest, ',', &e)) {
        read_connection_element(e, f);
    }
}

static void look_at(field *it, found *f)
{
    switch ((int)it->token) {
    case TOKEN_HOST:
        f->host = it;
        f->hosts++;
        return;
    case TOKEN_CONTENT_LENGTH:
        f->length = it;
        f->lengths++;
        return;
    case TOKEN_EXPECT:
        f->expect = it;
        f->expects++;
        return;
    case TOKEN_TRANSFER_ENCODING:
        f->transfer = it;
        f->transfers++;
        break;
    case TOKEN_CONNECTION:
        read_connection(it->value, f);
        break;
    default:
        break;
    }
    it->flags |= FIELD_DROP;
}

static void walk(headers *h, found *f)
{
    for (uint32_t i = 0; i < h->n; i++) {
        field *it = &h->v[i];
        if (is_looked_at[it->token] && it->name.n) {
            look_at(it, f);
        }
    }
}

/* Drops extension fields that Connection names (RFC 9110 §7.6.1). A name that stands in token.def
 * means something to us or to what is behind: dropping it on a client's word (Content-Length, Host,
 * X-Forwarded-For, Authorization) is an attack, so it is ignored. */
static int drop_named(headers *h)
{
    int names = 0;
    for (const field *c = headers_find(h, TOKEN_CONNECTION); c; c = headers_next(h, c)) {
        str rest = c->value;
        str e;
        while (str_split(&rest, ',', &e)) {
            if (token_find(e) != TOKEN_NONE || e.n == 0) {
                continue;
            }
            if (++names > NAMED_MAX) { /* each costs a walk over the fields */
                return ERR_BAD_CONNECTION;
            }
            for (field *f = headers_get(h, e); f; f = headers_next(h, f)) {
                f->flags |= FIELD_DROP;
            }
        }
    }
    return 0;
}

/* Digits only and below 2^63; a list, even of equal numbers, is not one (RFC 9112 §6.3 rule 5 lets
 * us refuse). */
static int read_length(const found *f, int64_t *length)
{
    return f->lengths == 1 && str_to_i64(f->length->value, length) == 0 ? 0 : ERR_BAD_LENGTH;
}

static int read_transfer(const msg *m, const found *f)
{
    if (f->lengths) {
        return ERR_LENGTH_AND_CHUNKED;
    }
    /* RFC 9112 §6.1: a 1.0 message with Transfer-Encoding has faulty framing */
    if (f->transfers > 1 || m->version == HTTP_1_0) {
        return ERR_BAD_TRANSFER;
    }
    if (str_ieq(f->transfer->value, STR("chunked"))) {
        return 0;
    }
    str rest = f->transfer->value;
    str e;
    int rc = ERR_BAD_TRANSFER; /* empty, or chunked more than once */
    while (str_split(&rest, ',', &e)) {
        if (!headers_name_is_ok(e)) {
            return ERR_BAD_TRANSFER;
        }
        if (!str_ieq(e, STR("chunked"))) {
            rc = ERR_BAD_CODING;
        }
    }
    return rc;
}

static int frame_body(msg *m, const found *f, enum msg_body without)
{
    m->length = -1;
    m->body = (uint8_t)without;
    if (f->transfers) {
        m->body = MSG_BODY_CHUNKED;
        return read_transfer(m, f);
    }
    if (f->lengths) {
        m->body = MSG_BODY_LENGTH;
        f->length->flags |= FIELD_DROP;
        return read_length(f, &m->length);
    }
    return 0;
}

/* RFC 9112 §9.3. */
static bool persists(const msg *m, const found *f)
{
    return !f->close && (m->version != HTTP_1_0 || f->keep_alive);
}

static int read_host(msg *m, const found *f)
{
    m->host = STR_EMPTY;
    m->port = 0;
    if (f->hosts == 1) {
        return uri_host(f->host->value, m->h.pool, &m->host, &m->port);
    }
    /* RFC 9112 §3.2: missing in 1.1, or more than one, is a 400 */
    return f->hosts == 0 && m->version == HTTP_1_0 ? 0 : ERR_BAD_HOST;
}

static int read_expect(msg *m, const found *f)
{
    m->expect_continue = false;
    if (f->expects == 0) {
        return 0;
    }
    if (f->expects > 1 || !str_ieq(f->expect->value, STR("100-continue"))) {
        return ERR_EXPECT;
    }
    /* RFC 9110 §10.1.1: not from a 1.0 client, and pointless without a body; one of no bytes is the protocol's affair */
    m->expect_continue = m->version != HTTP_1_0 && m->body != MSG_BODY_NONE;
    return 0;
}

int framing_request(msg *m)
{
    found f = {0};
    walk(&m->h, &f);
    int rc = f.names ? drop_named(&m->h) : 0;
    if (rc == 0) {
        rc = read_host(m, &f);
    }
    if (rc == 0) {
        rc = frame_body(m, &f, MSG_BODY_NONE);
    }
    if (rc == 0) {
        rc = read_expect(m, &f);
    }
    m->keepalive = persists(m, &f);
    m->upgrade = f.upgrade && m->version == HTTP_1_1 && m->method == METHOD_GET &&
                 (m->body == MSG_BODY_NONE || m->length == 0) &&
                 headers_lists(&m->h, TOKEN_UPGRADE, STR("websocket"));
    return rc;
}

/* RFC 9113 §8.2.2. */
static bool has_connection_fields(const headers *h)
{
    static const enum token refused[] = {TOKEN_CONNECTION, TOKEN_KEEP_ALIVE, TOKEN_PROXY_CONNECTION,
                                         TOKEN_TRANSFER_ENCODING, TOKEN_UPGRADE};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (headers_may_have(h, refused[i]) && headers_find(h, refused[i])) {
            return true;
        }
    }
    const field *te = headers_may_have(h, TOKEN_TE) ? headers_find(h, TOKEN_TE) : NULL;
    return te && (headers_next(h, te) || !str_ieq(te->value, STR("trailers")));
}

/* Content-Length is a promise about the DATA frames (RFC 9113 §8.1.1), kept by whoever counts them. */
static int frame_body_h2(msg *m, const found *f, bool ended)
{
    m->length = -1;
    m->body = ended ? MSG_BODY_NONE : MSG_BODY_CHUNKED;
    if (!f->lengths) {
        return 0;
    }
    f->length->flags |= FIELD_DROP;
    m->body = MSG_BODY_LENGTH;
    int rc = read_length(f, &m->length);
    return rc < 0 || !ended || m->length == 0 ? rc : ERR_BAD_LENGTH;
}

int framing_request_h2(msg *m, bool ended)
{
    found f = {0};
    if (has_connection_fields(&m->h)) {
        return ERR_BAD_CONNECTION;
    }
    walk(&m->h, &f);
    int rc = read_host(m, &f);
    if (rc == 0) {
        rc = frame_body_h2(m, &f, ended);
    }
    if (rc == 0) {
        rc = read_expect(m, &f);
    }
    m->keepalive = true;
    m->upgrade = false;
    return rc;
}

/* RFC 9112 §6.3 rules 1 and 2. */
static bool has_no_body(const msg *m, enum method request_method)
{
    return request_method == METHOD_HEAD || status_has_no_body(m->status) ||
           (request_method == METHOD_CONNECT && m->status / 100 == 2);
}

int framing_response(msg *m, enum method request_method)
{
    found f = {0};
    walk(&m->h, &f);
    if (f.names && drop_named(&m->h) < 0) {
        return ERR_UPSTREAM_HEAD;
    }
    if (frame_body(m, &f, MSG_BODY_CLOSE) < 0) {
        return ERR_UPSTREAM_HEAD;
    }
    m->keepalive = persists(m, &f);
    m->upgrade = m->status == 101;
    if (has_no_body(m, request_method)) {
        /* Content-Length tells a HEAD or a 304 how long the body would be; in a 1xx or 204 it has
         * no place (RFC 9110 §8.6) */
        if (f.length && (request_method == METHOD_HEAD || m->status == 304)) {
            f.length->flags &= (uint16_t)~FIELD_DROP;
        }
        m->body = MSG_BODY_NONE;
        m->length = -1;
    } else if (m->body == MSG_BODY_CLOSE) {
        m->keepalive = false;
    }
    return 0;
}
