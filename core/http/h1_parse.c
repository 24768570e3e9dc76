/* h1_parse.c — HTTP/1 heads.
 *
 * A first call parses straight on, in one pass. When the head turns out to be incomplete, later
 * calls only look for its end (find_end) and parse again once it is there, so that a head that
 * comes byte by byte costs O(n). Errors are those of the first offending byte, however the input
 * was cut; only what needs more bytes to be judged is ERR_AGAIN.
 *
 * Names are looked up first: a hit in token.def is a proof of its grammar, only unknown names are
 * checked byte by byte. */
#include "http/h1_parse.h"

#include "base/err.h"
#include "http/framing.h"
#include "http/scan.h"
#include "http/token_wide.h"

enum { METHOD_MAX = 32, EMPTY_LINES_MAX = 4, SHORT_MAX = 32 };
_Static_assert((int)SHORT_MAX >= (int)TOKEN_WIDE && (int)SHORT_MAX >= (int)SCAN_STEP,
               "the fast path may read that far back");

/* The input of one parse. */
typedef struct head {
    const char *lo;  /* lowest readable byte */
    const char *end; /* of the input, cut at the head limit */
    const h1_limits *lim;
    bool bare_lf; /* LF alone ends a line */
    bool response;
} head;

enum {
    NAME = 1,   /* tchar, RFC 9110 §5.6.2 */
    METHOD = 2, /* tchar without lower case: method names are case-sensitive and all upper case;
                   "get" is a mistake */
    UNDERSCORE = 4,
};

static const uint8_t class_of[256] = {
    ['!'] = NAME | METHOD,         ['#' ... '\''] = NAME | METHOD,
    ['*'] = NAME | METHOD,         ['+'] = NAME | METHOD,
    ['-'] = NAME | METHOD,         ['.'] = NAME | METHOD,
    ['0' ... '9'] = NAME | METHOD, ['A' ... 'Z'] = NAME | METHOD,
    ['^'] = NAME | METHOD,         ['_'] = NAME | METHOD | UNDERSCORE,
    ['`'] = NAME | METHOD,         ['a' ... 'z'] = NAME,
    ['|'] = NAME | METHOD,         ['~'] = NAME | METHOD,
};

/* No tchar, but harmless enough for h1_limits.drop_invalid to drop the field that has it in its
 * name. */
static inline bool is_odd(char c)
{
    unsigned char u = (unsigned char)c;
    return u > 0x20 && u != 0x7f && u != ':';
}

/* Steps over CRLF (or LF) at *at. */
static COLD int take_line_end(const head *hd, const char **at, int otherwise)
{
    const char *p = *at;
    if (p == hd->end) {
        return ERR_AGAIN;
    }
    if (*p == '\n') {
        *at = p + 1;
        return hd->bare_lf ? 0 : ERR_BAD_LINE_END;
    }
    if (*p != '\r') {
        return otherwise;
    }
    if (p + 1 == hd->end) {
        return ERR_AGAIN;
    }
    *at = p + 2;
    return p[1] == '\n' ? 0 : ERR_BAD_LINE_END;
}

/* The first control at or after p, HTAB apart. */
static inline const char *scan_text(const head *hd, const char *p)
{
    p = scan_until(hd->lo, p, hd->end, 0x1f);
    while (UNLIKELY(p < hd->end && *p == '\t')) {
        p = scan_until(hd->lo, p + 1, hd->end, 0x1f);
    }
    return p;
}

/* Checks an unknown name byte by byte. *drop: the field must not be kept. */
static COLD int check_name(const head *hd, const char *from, size_t *n, bool *drop)
{
    const char *p = from;
    unsigned any = 0;
    bool odd = false;
    for (; p < hd->end; p++) {
        unsigned class = class_of[(unsigned char)*p];
        if (UNLIKELY(!(class & NAME))) {
            if (!is_odd(*p) || !hd->lim->drop_invalid) {
                break;
            }
            odd = true;
        }
        any |= class;
    }
    if (p == hd->end) {
        return ERR_AGAIN;
    }
    if (*p != ':') {
        /* white space before the colon or a line without one: never repaired (RFC 9112 §5.1) */
        int rc = take_line_end(hd, &p, ERR_BAD_FIELD_NAME);
        return rc < 0 ? rc : ERR_BAD_FIELD_NAME;
    }
    odd = odd || p == from;
    if (odd && !hd->lim->drop_invalid) {
        return ERR_BAD_FIELD_NAME;
    }
    *n = (size_t)(p - from);
    *drop = odd;
    if ((any & UNDERSCORE) && !hd->response) {
        *drop = odd || hd->lim->drop_underscore || token_is_lookalike(str_of(from, *n));
    }
    return 0;
}

static inline bool is_line_end(const char *p)
{
    return memcmp(p, "\r\n", 2) == 0;
}

/* A field that the fast path found odd: an unknown name, folded white space, an unusual line end,
 * the end of the input. Always gives the same answer as the fast path would; *drop as in
 * check_name. */
static COLD int take_field_slow(const head *hd, const char **at, field *f, bool *drop)
{
    const char *p = *at;
    size_t n = 0;
    int rc = check_name(hd, p, &n, drop);
    if (rc < 0) {
        return rc;
    }
    f->name = str_of(p, n);
    f->token = (uint16_t)token_find(f->name);
    f->flags = 0;
    p += n + 1;
    while (p < hd->end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    const char *from = p;
    p = scan_text(hd, p);
    f->value = str_trim(str_of(from, (size_t)(p - from)));
    rc = take_line_end(hd, &p, ERR_BAD_FIELD_VALUE);
    *at = p;
    return rc;
}

/* The last bytes of the input with zeros behind them, so that a name near the end can be looked at
 * as widely as any other. */
static inline const char *tail_of(const head *hd, const char *p, char *tail)
{
    memcpy(tail, hd->end - TOKEN_WIDE, TOKEN_WIDE);
    memset(tail + TOKEN_WIDE, 0, TOKEN_WIDE);
    return tail + TOKEN_WIDE - (hd->end - p);
}

/* The usual field: a name of letters, digits and dashes, one space, a value without tabs, CRLF.
 * Returns where the next line begins, or NULL when take_field_slow must look. `wide` shows the
 * bytes at p and is readable for TOKEN_WIDE bytes, zeros after the input's end. The input has
 * SHORT_MAX bytes or more. */
__attribute__((always_inline)) static inline const char *
take_field_fast(const char *end, const char *p, const char *wide, field *f)
{
    const char *last = end - SCAN_STEP;
    size_t n = token_length(wide);
    unsigned token = token_find_wide(wide, n);
    if (UNLIKELY(token == TOKEN_NONE) && !token_is_simple(wide, n)) {
        return NULL;
    }
    const char *from = p + n + 2;
    if (UNLIKELY(from >= end || from[-1] != ' ' || (unsigned char)from[0] <= ' ')) {
        return NULL;
    }
    const char *to = scan_long(from, last, end, 0x1f);
    if (UNLIKELY(to >= end - 1 || !is_line_end(to) || to[-1] == ' ')) {
        return NULL;
    }
    f->name = str_of(p, n);
    f->value = str_of(from, (size_t)(to - from));
    f->token = (uint16_t)token;
    f->flags = 0;
    return to + 2;
}

/* Where the fields of one section go. */
typedef struct section {
    const head *hd;
    headers *h;
    uint32_t n;    /* fields so far */
    uint32_t room; /* fields that fit without another look at the limits */
} section;

static bool make_room(section *s)
{
    headers *h = s->h;
    uint32_t most = s->hd->lim->fields;
    h->n = (uint16_t)s->n;
    if (s->n >= most || (s->n == h->cap && !headers_grow(h))) {
        return false;
    }
    s->room = h->cap < most ? h->cap : most;
    return true;
}

static inline void count_field(section *s, unsigned token)
{
    s->n++;
    s->h->seen[token >> 6] |= (uint64_t)1 << (token & 63);
}

/* One field by the slow way. */
static COLD int take_odd_field(section *s, const char **at)
{
    bool drop = false;
    field *f = &s->h->v[s->n];
    int rc = take_field_slow(s->hd, at, f, &drop);
    if (rc == 0 && !drop) {
        count_field(s, f->token);
    }
    return rc;
}

/* The empty line that must come where no field begins. */
static int end_section(const head *hd, const char **at, headers *h, uint32_t n)
{
    const char *p = *at;
    h->n = h->live = (uint16_t)n;
    if (LIKELY(hd->end - p >= 2 && is_line_end(p))) {
        *at = p + 2;
        return 0;
    }
    if (p < hd->end && (*p == ' ' || *p == '\t')) {
        return ERR_OBS_FOLD; /* RFC 9112 §5.2 */
    }
    return take_line_end(hd, at, ERR_BAD_FIELD_NAME);
}

/* All fields and the empty line after them. */
static int take_fields(const head *hd, const char **at, headers *h)
{
    const char *const end = hd->end;
    const bool is_short = end - hd->lo < SHORT_MAX;
    char tail[2 * TOKEN_WIDE];
    section s = {hd, h, h->n, 0};
    const char *p = *at;
    while (LIKELY(p < end && (unsigned char)*p > ' ')) {
        if (UNLIKELY(s.n >= s.room) && !make_room(&s)) {
            return ERR_HEAD_TOO_LARGE;
        }
        if (LIKELY(!is_short)) {
            const char *wide = LIKELY(end - p >= TOKEN_WIDE) ? p : tail_of(hd, p, tail);
            field *f = &h->v[s.n];
            const char *next = take_field_fast(end, p, wide, f);
            if (LIKELY(next != NULL)) {
                p = next;
                count_field(&s, f->token);
                continue;
            }
        }
        *at = p;
        int rc = take_odd_field(&s, at);
        if (rc < 0) {
            return rc;
        }
        p = *at;
    }
    *at = p;
    return end_section(hd, at, h, s.n);
}

static int take_method(const head *hd, const char **at, msg *m)
{
    const char *from = *at;
    const char *p = from;
    if (LIKELY(hd->end - p >= 4 && memcmp(p, "GET ", 4) == 0)) {
        m->method = METHOD_GET;
        m->method_name = str_of(p, 3);
        *at = p + 4;
        return 0;
    }
    while (p < hd->end && (class_of[(unsigned char)*p] & METHOD)) {
        if (p - from == METHOD_MAX) {
            return ERR_BAD_METHOD;
        }
        p++;
    }
    if (p == hd->end) {
        return ERR_AGAIN;
    }
    if (*p != ' ') {
        return ERR_BAD_METHOD;
    }
    if (p == from) {
        return ERR_BAD_START_LINE;
    }
    m->method_name = str_of(from, (size_t)(p - from));
    m->method = (uint8_t)method_find(m->method_name);
    *at = p + 1;
    return 0;
}

static int take_target(const head *hd, const char **at, msg *m)
{
    const char *from = *at;
    const char *p = scan_until(hd->lo, from, hd->end, ' ');
    if (UNLIKELY(p - from > (ptrdiff_t)hd->lim->target)) {
        return ERR_URI_TOO_LONG;
    }
    if (UNLIKELY(p == hd->end)) {
        return ERR_AGAIN;
    }
    if (UNLIKELY(*p != ' ' || p == from)) {
        /* "GET /" CRLF is HTTP/0.9, which nobody means any more */
        return *p == '\r' || *p == '\n' || p == from ? ERR_BAD_START_LINE : ERR_BAD_TARGET;
    }
    m->target = str_of(from, (size_t)(p - from));
    *at = p + 1;
    return 0;
}

/* "HTTP/1." DIGIT; the line goes on behind it. */
static int take_version(const head *hd, const char **at, msg *m, int malformed)
{
    static const char want[] = "HTTP/1.";
    const char *p = *at;
    for (int i = 0; i < 7; i++, p++) {
        if (p == hd->end) {
            return ERR_AGAIN;
        }
        if (*p != want[i]) {
            bool other_major = i == 5 && *p >= '0' && *p <= '9';
            return other_major ? ERR_BAD_VERSION : malformed;
        }
    }
    if (p == hd->end) {
        return ERR_AGAIN;
    }
    if (*p < '0' || *p > '9') {
        return malformed;
    }
    m->minor = (uint8_t)(*p - '0');
    m->version = m->minor == 0 ? HTTP_1_0 : HTTP_1_1;
    *at = p + 1;
    return 0;
}

/* RFC 9112 §2.2: a server should skip an empty line before the request. */
static int skip_empty_lines(const head *hd, const char **at)
{
    for (int n = 0; *at < hd->end && (**at == '\r' || **at == '\n'); n++) {
        if (n == EMPTY_LINES_MAX) {
            return ERR_BAD_START_LINE;
        }
        int rc = take_line_end(hd, at, ERR_BAD_LINE_END);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int take_request_line(const head *hd, const char **at, msg *m)
{
    int rc = skip_empty_lines(hd, at);
    if (rc == 0) {
        rc = take_method(hd, at, m);
    }
    if (rc == 0) {
        rc = take_target(hd, at, m);
    }
    if (rc < 0) {
        return rc;
    }
    if (LIKELY(hd->end - *at >= 10 && memcmp(*at, "HTTP/1.1\r\n", 10) == 0)) {
        m->minor = 1;
        m->version = HTTP_1_1;
        *at += 10;
        return 0;
    }
    rc = take_version(hd, at, m, ERR_BAD_START_LINE);
    return rc < 0 ? rc : take_line_end(hd, at, ERR_BAD_START_LINE);
}

/* SP 3DIGIT */
static int take_status(const head *hd, const char **at, msg *m)
{
    const char *p = *at;
    int status = 0;
    for (int i = 0; i < 4; i++, p++) {
        if (p == hd->end) {
            return ERR_AGAIN;
        }
        if (i == 0 ? *p != ' ' : *p < '0' || *p > '9') {
            return ERR_BAD_STATUS;
        }
        status = i == 0 ? 0 : status * 10 + (*p - '0');
    }
    if (status < 100) {
        return ERR_BAD_STATUS;
    }
    m->status = (uint16_t)status;
    *at = p;
    return 0;
}

/* "HTTP/1.1 ddd", then " " or the line end; false when the slow way must judge. */
static inline bool take_usual_status(const char *p, const char *end, msg *m)
{
    if (UNLIKELY(end - p < 13 || memcmp(p, "HTTP/1.1 ", 9) != 0)) {
        return false;
    }
    unsigned a = (unsigned)(p[9] - '0'), b = (unsigned)(p[10] - '0'), c = (unsigned)(p[11] - '0');
    if (UNLIKELY(a - 1 > 8 || b > 9 || c > 9)) {
        return false;
    }
    m->minor = 1;
    m->version = HTTP_1_1;
    m->status = (uint16_t)(a * 100 + b * 10 + c);
    return true;
}

static int take_version_and_status(const head *hd, const char **at, msg *m)
{
    if (LIKELY(take_usual_status(*at, hd->end, m))) {
        *at += 12;
        return 0;
    }
    int rc = take_version(hd, at, m, ERR_BAD_STATUS);
    if (rc == 0) {
        rc = take_status(hd, at, m);
    }
    return rc;
}

/* What nearly every response begins with. */
static inline bool is_usual_status_line(const head *hd, const char *p)
{
    return hd->end - p >= 17 && memcmp(p, "HTTP/1.1 200 OK\r\n", 17) == 0;
}

static int take_status_line(const head *hd, const char **at, msg *m)
{
    if (LIKELY(is_usual_status_line(hd, *at))) {
        m->version = HTTP_1_1;
        m->minor = 1;
        m->status = 200;
        m->reason = str_of(*at + 13, 2);
        *at += 17;
        return 0;
    }
    int rc = take_version_and_status(hd, at, m);
    if (rc < 0) {
        return rc == ERR_AGAIN ? ERR_AGAIN : ERR_BAD_STATUS;
    }
    const char *p = *at;
    m->reason = STR_EMPTY;
    if (p < hd->end && *p == ' ') {
        const char *from = ++p;
        p = scan_text(hd, p);
        m->reason = str_of(from, (size_t)(p - from));
    }
    if (LIKELY(hd->end - p >= 2 && is_line_end(p))) {
        *at = p + 2;
        return 0;
    }
    *at = p;
    rc = take_line_end(hd, at, ERR_BAD_STATUS);
    return rc < 0 && rc != ERR_AGAIN ? ERR_BAD_STATUS : rc;
}

typedef int take_line(const head *hd, const char **at, msg *m);

/* The start line, judged once and remembered, then the fields; the head's length. */
static inline int take_head(const head *hd, take_line *line, h1_scan *scan, msg *m)
{
    const char *p = hd->lo;
    int rc = line(hd, &p, m);
    if (rc < 0) {
        return rc;
    }
    scan->line_seen = true;
    m->h.n = m->h.live = 0;
    m->h.seen[0] = m->h.seen[1] = 0;
    rc = take_fields(hd, &p, &m->h);
    return rc < 0 ? rc : (int)(p - hd->lo);
}

/* Bytes of empty lines before the start line. */
static size_t leading_empty(const head *hd)
{
    size_t n = (size_t)(hd->end - hd->lo);
    size_t i = 0;
    while (i < n && i < 2 * EMPTY_LINES_MAX && (hd->lo[i] == '\r' || hd->lo[i] == '\n')) {
        i++;
    }
    return i;
}

/* True when the bytes from scan->at on complete the head, or break it: then it is worth parsing. */
static bool find_end(const head *hd, take_line *line, h1_scan *scan, msg *m)
{
    size_t n = (size_t)(hd->end - hd->lo);
    size_t first = leading_empty(hd);
    size_t at = scan->at < first ? first : scan->at;
    const char *lf = NULL;
    while (at < n && (lf = memchr(hd->lo + at, '\n', n - at)) != NULL) {
        at = (size_t)(lf - hd->lo) + 1;
        if (!hd->bare_lf && lf[-1] != '\r') {
            return true;
        }
        if (at < n && (lf[1] == '\n' || (lf[1] == '\r' && at + 1 < n))) {
            return true; /* an empty line, or a stray CR */
        }
        if (at == n || lf[1] == '\r') {
            at--; /* what follows this line end decides: look again */
            break;
        }
    }
    scan->at = (uint32_t)(lf ? at : n);
    if (!scan->line_seen && (lf || n > hd->lim->target)) {
        const char *p = hd->lo;
        int rc = line(hd, &p, m);
        scan->line_seen = rc == 0;
        return rc < 0 && rc != ERR_AGAIN;
    }
    return false;
}

static int parse(str in, head *hd, take_line *line, h1_scan *scan, msg *m)
{
    size_t n = in.n < hd->lim->head ? in.n : hd->lim->head;
    hd->lo = in.p;
    hd->end = in.p + n;
    int rc = ERR_AGAIN;
    if (LIKELY(scan->at == 0) || find_end(hd, line, scan, m) || n == hd->lim->head) {
        rc = take_head(hd, line, scan, m);
    }
    if (UNLIKELY(rc == ERR_AGAIN)) {
        if (scan->at == 0 && n > 2) {
            scan->at = (uint32_t)n - 2; /* the head may be cut within its last CRLF CRLF */
        }
        return n == hd->lim->head ? ERR_HEAD_TOO_LARGE : ERR_AGAIN;
    }
    *scan = (h1_scan){0};
    return rc;
}

/* Fills buffers as a server would that never cuts a line in two. */
struct lines {
    size_t room;
    uint32_t left;
};

static bool line_fits(struct lines *l, const h1_limits *lim, size_t n)
{
    if (n > l->room) {
        if (n > lim->line || l->left == 0) {
            return false;
        }
        l->left--;
        l->room = lim->line;
    }
    l->room -= n;
    return true;
}

static COLD int check_lines(const h1_limits *lim, const msg *m)
{
    enum { AROUND_TARGET = sizeof "  HTTP/1.1\r\n" - 1, AROUND_VALUE = sizeof ": \r\n" - 1 };
    struct lines l = {lim->first, lim->buffers};
    if (!line_fits(&l, lim, m->method_name.n + m->target.n + AROUND_TARGET)) {
        return ERR_URI_TOO_LONG;
    }
    uint32_t at = 0;
    for (const field *f; (f = headers_each(&m->h, &at)) != NULL;) {
        if (!line_fits(&l, lim, f->name.n + f->value.n + AROUND_VALUE)) {
            return ERR_HEAD_TOO_LARGE;
        }
    }
    return 0;
}

int h1_parse_request(str in, const h1_limits *lim, h1_scan *scan, msg *m)
{
    head hd = {.lim = lim, .bare_lf = lim->bare_lf};
    int n = parse(in, &hd, take_request_line, scan, m);
    if (n > 0) {
        int rc = lim->first && UNLIKELY((uint32_t)n > lim->first) ? check_lines(lim, m) : 0;
        rc = rc < 0 ? rc : framing_request(m);
        return rc < 0 ? rc : n;
    }
    return n;
}

int h1_parse_response(str in, const h1_limits *lim, h1_scan *scan, enum method request_method,
                      msg *m)
{
    head hd = {.lim = lim, .bare_lf = true, .response = true};
    int n = parse(in, &hd, take_status_line, scan, m);
    if (n > 0) {
        int rc = framing_response(m, request_method);
        return rc < 0 ? rc : n;
    }
    return n == ERR_AGAIN || n == ERR_BAD_STATUS ? n : ERR_UPSTREAM_HEAD;
}

int h1_parse_trailers(str in, const h1_limits *lim, headers *h)
{
    size_t n = in.n < lim->head ? in.n : lim->head;
    bool ends = n >= 2 && (in.p[0] == '\r' || memmem(in.p, n, "\r\n\r\n", 4) != NULL);
    if (!ends) {
        return n == lim->head ? ERR_BAD_TRAILER : ERR_AGAIN;
    }
    head hd = {.lo = in.p, .end = in.p + n, .lim = lim};
    const char *p = in.p;
    uint16_t before = h->n;
    int rc = take_fields(&hd, &p, h);
    if (rc < 0) {
        return ERR_BAD_TRAILER;
    }
    for (uint32_t i = before; i < h->n; i++) {
        field *f = &h->v[i];
        if (!token_may_trail((enum token)f->token)) {
            f->name.n = 0;
            h->live--;
        }
    }
    return (int)(p - in.p);
}
