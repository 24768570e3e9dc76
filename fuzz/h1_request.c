/* h1_request.c — request heads. The first byte chooses limits, the rest is the input.
 * Properties: all at once = in any pieces; what would be forwarded parses to the same message with
 * one framing field; memory is bounded by the input. */
#include "support.h"

static int parse(str in, const h1_limits *lim, h1_scan *scan, msg *m)
{
    int n = h1_parse_request(in, lim, scan, m);
    REQUIRE(n != 0 && n <= (int)in.n);
    return n;
}

/* Feeds growing prefixes; the first answer that is not ERR_AGAIN. */
static int parse_in_steps(str in, size_t step, const h1_limits *lim, msg *m)
{
    h1_scan scan = {0};
    for (size_t n = 0;; n += step) {
        size_t have = n < in.n ? n : in.n;
        int rc = parse(str_of(in.p, have), lim, &scan, m);
        if (rc != ERR_AGAIN || have == in.n) {
            return rc;
        }
    }
}

static void check_forwarded(const msg *m, size_t size)
{
    pool p;
    pool_init(&p, 4096);
    size_t cap = size + m->method_name.n + m->target.n + h1_write_size(&m->h) + 256;
    char *buf = malloc(cap);
    fmt f = fmt_of(buf, cap);
    h1_write_request_line(&f, m->method_name, m->target, 1);
    if (!headers_find(&m->h, TOKEN_HOST)) {
        h1_write_field(&f, STR("Host"), STR("x"));
    }
    h1_write_fields(&f, &m->h);
    h1_write_framing(&f, m);
    fmt_put(&f, STR("\r\n"));
    REQUIRE(!f.cut);
    h1_limits lim = support_wide_limits();
    h1_scan scan = {0};
    msg again;
    msg_init(&again, &p);
    int n = parse(fmt_str(&f), &lim, &scan, &again);
    REQUIRE(n == (int)fmt_str(&f).n);
    support_same_frame(m, &again);
    support_one_framing_field(&again);
    if (headers_find(&m->h, TOKEN_HOST)) {
        support_same_fields(&m->h, &again.h, true);
        REQUIRE(str_eq(m->host, again.host) && m->port == again.port);
    }
    free(buf);
    pool_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    h1_limits lim = support_limits(data[0]);
    str in = str_of((const char *)data + 1, size - 1);
    pool p;
    pool_init(&p, 1024);
    msg whole;
    msg_init(&whole, &p);
    h1_scan scan = {0};
    int rc = parse(in, &lim, &scan, &whole);
    REQUIRE(p.total <= 4096 + 24 * size);
    static const size_t steps[] = {1, 2, 7, 64};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (steps[i] * 4096 < size) {
            continue;
        }
        msg part;
        msg_init(&part, &p);
        int got = parse_in_steps(in, steps[i], &lim, &part);
        /* an error in an unfinished head may be seen earlier when it comes in one piece */
        REQUIRE(got == rc || (got == ERR_AGAIN && rc < 0));
        if (got > 0) {
            support_same_message(&whole, &part);
        }
    }
    if (rc > 0) {
        check_forwarded(&whole, size);
    }
    pool_fini(&p);
    return 0;
}
