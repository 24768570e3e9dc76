/* h1_response.c — response heads as an upstream may send them. The first byte chooses limits and
 * the request's method. Properties as in h1_request.c. */
#include "support.h"

enum { OPTION_HEAD = 4, OPTION_CONNECT = 8 };

static int parse(str in, const h1_limits *lim, h1_scan *scan, enum method method, msg *m)
{
    int n = h1_parse_response(in, lim, scan, method, m);
    REQUIRE(n != 0 && n <= (int)in.n);
    REQUIRE(n > 0 || n == ERR_AGAIN || n == ERR_BAD_STATUS || n == ERR_UPSTREAM_HEAD);
    return n;
}

static int parse_in_steps(str in, size_t step, const h1_limits *lim, enum method method, msg *m)
{
    h1_scan scan = {0};
    for (size_t n = 0;; n += step) {
        size_t have = n < in.n ? n : in.n;
        int rc = parse(str_of(in.p, have), lim, &scan, method, m);
        if (rc != ERR_AGAIN || have == in.n) {
            return rc;
        }
    }
}

static void check_forwarded(const msg *m, enum method method)
{
    pool p;
    pool_init(&p, 4096);
    size_t cap = m->reason.n + h1_write_size(&m->h) + 256;
    char *buf = malloc(cap);
    fmt f = fmt_of(buf, cap);
    h1_write_status(&f, 1, m->status, m->reason);
    h1_write_fields(&f, &m->h);
    h1_write_framing(&f, m);
    fmt_put(&f, STR("\r\n"));
    REQUIRE(!f.cut);
    h1_limits lim = support_wide_limits();
    h1_scan scan = {0};
    msg again;
    msg_init(&again, &p);
    int n = parse(fmt_str(&f), &lim, &scan, method, &again);
    REQUIRE(n == (int)fmt_str(&f).n);
    support_same_frame(m, &again);
    support_same_fields(&m->h, &again.h, true);
    if (again.body != MSG_BODY_NONE) {
        support_one_framing_field(&again);
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
    enum method method = data[0] & OPTION_HEAD      ? METHOD_HEAD
                         : data[0] & OPTION_CONNECT ? METHOD_CONNECT
                                                    : METHOD_GET;
    str in = str_of((const char *)data + 1, size - 1);
    pool p;
    pool_init(&p, 1024);
    msg whole;
    msg_init(&whole, &p);
    h1_scan scan = {0};
    int rc = parse(in, &lim, &scan, method, &whole);
    REQUIRE(p.total <= 4096 + 24 * size);
    static const size_t steps[] = {1, 2, 7, 64};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (steps[i] * 4096 < size) {
            continue;
        }
        msg part;
        msg_init(&part, &p);
        int got = parse_in_steps(in, steps[i], &lim, method, &part);
        REQUIRE(got == rc || (got == ERR_AGAIN && rc < 0));
        if (got > 0) {
            support_same_message(&whole, &part);
        }
    }
    if (rc > 0) {
        check_forwarded(&whole, method);
    }
    pool_fini(&p);
    return 0;
}
