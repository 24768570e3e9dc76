/* chunked.c — the chunked coding with its trailer section.
 * Properties: any split gives the same bytes, end and verdict; what was decoded, encoded again,
 * decodes to the same; nothing but views of the input is handed out. */
#include "support.h"

#include "http/h1_chunk.h"

typedef struct result {
    int rc; /* as h1_chunk_decode */
    size_t used;
    size_t n; /* body bytes */
    char *body;
} result;

/* Decodes, showing at most `step` bytes at a time. */
static result decode(str in, size_t step)
{
    h1_chunk c;
    h1_chunk_init(&c);
    result r = {.body = malloc(in.n + 1)};
    while (r.rc == 0 && r.used < in.n) {
        str piece = str_from(in, r.used);
        piece.n = piece.n < step ? piece.n : step;
        str data;
        size_t used;
        r.rc = h1_chunk_decode(&c, piece, &data, &used);
        REQUIRE(used <= piece.n && (used > 0 || r.rc != 0));
        REQUIRE(data.n == 0 || (data.p >= piece.p && data.p + data.n <= piece.p + used));
        memcpy(r.body + r.n, data.p, data.n);
        r.n += data.n;
        r.used += used;
    }
    REQUIRE(r.rc != 1 || c.total == r.n);
    return r;
}

static void same(const result *a, const result *b)
{
    REQUIRE(a->rc == b->rc && a->used == b->used && a->n == b->n);
    REQUIRE(memcmp(a->body, b->body, a->n) == 0);
}

static void check_encoded(const result *r)
{
    char *wire = malloc(r->n + 2 * H1_CHUNK_HEAD_MAX + 8);
    size_t n = 0;
    if (r->n > 0) {
        n = h1_chunk_head(wire, r->n);
        memcpy(wire + n, r->body, r->n);
        memcpy(wire + n + r->n, "\r\n", 2);
        n += r->n + 2;
    }
    n += h1_chunk_head(wire + n, 0);
    result again = decode(str_of(wire, n), n);
    REQUIRE(again.rc == 1 && again.used == n && again.n == r->n);
    REQUIRE(memcmp(again.body, r->body, r->n) == 0);
    free(again.body);
    free(wire);
}

static void check_trailers(str rest)
{
    h1_limits lim = support_limits(0);
    pool p;
    pool_init(&p, 1024);
    headers h;
    headers_init(&h, &p);
    int n = h1_parse_trailers(rest, &lim, &h);
    REQUIRE(n > 0 || n == ERR_AGAIN || n == ERR_BAD_TRAILER);
    uint32_t at = 0;
    for (const field *f; n > 0 && (f = headers_each(&h, &at)) != NULL;) {
        REQUIRE(f->token != TOKEN_HOST && f->token != TOKEN_CONTENT_LENGTH &&
                f->token != TOKEN_TRANSFER_ENCODING);
        REQUIRE(headers_value_is_ok(f->value) && headers_name_is_ok(f->name));
    }
    pool_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = str_of((const char *)data, size);
    result whole = decode(in, size + 1);
    static const size_t steps[] = {1, 2, 3, 17};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        result part = decode(in, steps[i]);
        same(&whole, &part);
        free(part.body);
    }
    if (whole.rc == 1) {
        check_encoded(&whole);
        check_trailers(str_from(in, whole.used));
    }
    free(whole.body);
    return 0;
}
