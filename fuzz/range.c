/* range.c — Range, If-*, Accept-Encoding. Lines of the input: Range, If-Range, entity-tag list, Accept-Encoding; the first byte gives the size and the bounds.
 * Properties: every range lies inside the representation and is not empty; no more than allowed, together never more than the whole; a tag is in a list of itself; weak
 * comparison finds whatever strong comparison finds; weights are weights, and what is chosen was accepted. */
#include "support.h"

#include "http/coding.h"
#include "http/conditional.h"
#include "http/range.h"

static void check_range(str value, int64_t size, int max, bool lean)
{
    int room = range_count(value);
    REQUIRE(room >= 1 && room <= RANGE_MAX);
    range *v = malloc(sizeof *v * (size_t)room); /* exact: an overrun is seen */
    REQUIRE(v);
    int cap = max < room ? max : room;
    int n = range_parse(value, size, cap, lean, v);
    REQUIRE(n >= RANGE_UNSATISFIABLE && n <= cap);
    int64_t total = 0;
    for (int i = 0; i < n; i++) {
        REQUIRE(v[i].from >= 0 && v[i].from < v[i].end && v[i].end <= size);
        total += v[i].end - v[i].from;
    }
    REQUIRE(n < 1 || total <= size);
    free(v);
}

static void check_tags(str list)
{
    static const str tag = {"\"v\"", 3};
    REQUIRE(!conditional_lists_tag(list, tag, false) || conditional_lists_tag(list, tag, true));
    str one = str_trim(list);
    bool plain = one.n >= 2 && one.p[0] == '"' && one.p[one.n - 1] == '"' && !memchr(one.p + 1, '"', one.n - 2);
    REQUIRE(!plain || conditional_lists_tag(list, one, true));
}

static void check_codings(str value, const headers *h)
{
    static const enum coding ours[] = {CODING_ZSTD, CODING_BR, CODING_GZIP};
    struct coding_wishes w;
    (void)value;
    coding_wishes(h, &w);
    for (int i = 0; i < CODING_COUNT; i++) {
        REQUIRE(w.q[i] >= -1 && w.q[i] <= 1000);
    }
    REQUIRE(w.star >= -1 && w.star <= 1000);
    enum coding c = coding_choose(&w, ours, 3, false);
    REQUIRE(c == CODING_IDENTITY || w.q[c] > 0);
    c = coding_choose(&w, ours, 3, true);
    REQUIRE(c == CODING_IDENTITY || w.q[c] > 0 || (w.q[c] < 0 && w.star > 0));
}

static str next_line(str *rest)
{
    size_t n = str_find(*rest, '\n', 0);
    str line = str_of(rest->p, n);
    *rest = str_from(*rest, n + 1);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    static const int64_t sizes[] = {0, 1, 10, 1000, 1000000, INT64_MAX};
    unsigned options = data[0];
    int64_t bytes = sizes[options % 6];
    int max = options & 64 ? 2 : RANGE_MAX;
    str rest = str_of((const char *)data + 1, size - 1);
    str lines[4];
    for (int i = 0; i < 4; i++) {
        lines[i] = next_line(&rest);
    }
    pool p;
    pool_init(&p, 4096);
    headers h;
    headers_init(&h, &p);
    REQUIRE(headers_add_token(&h, TOKEN_IF_NONE_MATCH, lines[2]) == 0 && headers_add_token(&h, TOKEN_IF_MODIFIED_SINCE, lines[1]) == 0);
    REQUIRE(headers_add_token(&h, TOKEN_ACCEPT_ENCODING, lines[3]) == 0);
    check_range(lines[0], bytes, max, options & 128);
    check_tags(lines[2]);
    check_codings(lines[3], &h);
    (void)conditional_if_range(lines[1], lines[2], bytes);
    for (int since = CONDITIONAL_RFC; since <= CONDITIONAL_BEFORE; since++) {
        struct conditional_args a = {&h, STR("\"v\""), 784111777, (enum conditional_since)since};
        int verdict = conditional_check(&a);
        REQUIRE(verdict == CONDITIONAL_PASS || verdict == CONDITIONAL_NOT_MODIFIED);
    }
    pool_fini(&p);
    return 0;
}
