/* uri.c — targets, hosts, encoding, queries, cookies. The first byte chooses method and slash
 * merging. Properties: the normaliser is idempotent and leaves no dot segment; encoding is undone
 * by decoding; a host is its own canonical form. */
#include "support.h"

#include "http/cookie.h"
#include "http/uri.h"

enum { OPTION_MERGE = 1, OPTION_OPTIONS = 2, OPTION_CONNECT = 4 };

static void check_segments(str path, bool merge)
{
    REQUIRE(path.n > 0 && path.p[0] == '/' && !memchr(path.p, 0, path.n));
    str rest = str_from(path, 1);
    while (rest.n > 0) {
        size_t n = str_find(rest, '/', 0);
        str segment = str_of(rest.p, n);
        REQUIRE(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")));
        REQUIRE(!merge || n > 0);
        rest = str_from(rest, n + 1);
    }
}

static void check_target(str target, enum method method, bool merge, pool *p)
{
    uri u;
    int rc = uri_parse(target, method, merge, p, &u);
    REQUIRE(rc == 0 || rc == ERR_BAD_TARGET || rc == ERR_BAD_PATH);
    if (rc < 0 || u.form == URI_AUTHORITY || str_eq(u.path, STR("*"))) {
        return;
    }
    check_segments(u.path, merge);
    REQUIRE(!u.is_plain || str_eq(u.path, u.raw_path));
    REQUIRE(u.raw.n == u.raw_path.n + (u.query.p ? u.query.n + 1 : 0));
    uri again;
    rc = uri_parse(uri_encode_path(u.path, p), METHOD_GET, merge, p, &again);
    REQUIRE(rc == 0 && str_eq(again.path, u.path) && !again.query.p);
    /* what is forwarded untouched means the same to the next hop */
    rc = uri_parse(u.raw, METHOD_GET, merge, p, &again);
    REQUIRE(rc == 0 && str_eq(again.path, u.path) && str_eq(again.raw, u.raw));
}

static void check_host(str value, pool *p)
{
    str host, same;
    uint16_t port, none;
    if (uri_host(value, p, &host, &port) < 0) {
        return;
    }
    REQUIRE(host.n > 0);
    REQUIRE(uri_host(host, p, &same, &none) == 0 && str_eq(host, same) && none == 0);
}

static void check_pairs(str text)
{
    str rest = text, name, value;
    size_t total = 0;
    while (uri_query_next(&rest, &name, &value)) {
        total += name.n + value.n + 1;
    }
    REQUIRE(total <= text.n + 1);
    rest = text;
    while (cookie_next(&rest, &name, &value)) {
        REQUIRE(name.p >= text.p && value.p + value.n <= text.p + text.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum method method = data[0] & OPTION_CONNECT   ? METHOD_CONNECT
                         : data[0] & OPTION_OPTIONS ? METHOD_OPTIONS
                                                    : METHOD_GET;
    str in = str_of((const char *)data + 1, size - 1);
    pool p;
    pool_init(&p, 1024);
    check_target(in, method, data[0] & OPTION_MERGE, &p);
    check_host(in, &p);
    check_pairs(in);
    str coded = uri_encode_component(in, &p);
    REQUIRE(str_eq(uri_decode(coded, false, &p), in));
    REQUIRE(str_eq(uri_encode_component(coded, &p), coded) == str_eq(coded, in));
    (void)uri_decode(in, true, &p);
    REQUIRE(p.total <= 16384 + 32 * size);
    pool_fini(&p);
    return 0;
}
