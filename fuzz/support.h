/* support.h — what the fuzz targets share: strict limits, messages compared field by field. A
 * property that does not hold ends in REQUIRE, so that a finding says which one. */
#ifndef FUZZ_SUPPORT_H
#define FUZZ_SUPPORT_H

#include "base/check.h"
#include "base/err.h"
#include "base/slice.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of a target's first input byte. */
enum { OPTION_DROP = 1, OPTION_SMALL = 2 };

static inline h1_limits support_limits(unsigned options)
{
    bool small = options & OPTION_SMALL;
    return (h1_limits){
        .head = small ? 256 : 16384,
        .target = small ? 32 : 4096,
        .fields = small ? 5 : 100,
        .drop_underscore = options & OPTION_DROP,
        .drop_invalid = options & OPTION_DROP,
    };
}

/* Any limit a parse may need for what was written from a parsed message. */
static inline h1_limits support_wide_limits(void)
{
    return (h1_limits){.head = 1 << 20, .target = 1 << 20, .fields = 200};
}

/* For mutators: replaces [at, end) by `with`, within `max` bytes. The new size. */
static inline size_t support_put(uint8_t *data, size_t size, size_t max, size_t at, size_t end, str with)
{
    if (size - (end - at) + with.n > max) {
        return size;
    }
    memmove(data + at + with.n, data + end, size - end);
    memcpy(data + at, with.p, with.n);
    return size - (end - at) + with.n;
}

/* Whole frames of HTTP/2 behind the first `at` bytes, none longer than the 16384 that every peer takes (RFC 9113 §4.2). */
static inline void support_check_frames(const bufq *out, size_t at)
{
    enum { HEAD = 9, MOST = 16384 };
    size_t n = out->bytes;
    char *all = malloc(n + 1);
    REQUIRE(all && bufq_peek(out, all, n) == n && n >= at);
    while (at < n) {
        const unsigned char *h = (const unsigned char *)all + at;
        REQUIRE(n - at >= HEAD);
        size_t size = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        REQUIRE(size <= MOST && h[3] <= 9 && n - at - HEAD >= size);
        at += HEAD + size;
    }
    free(all);
}

static inline void support_same_fields(const headers *a, const headers *b, bool forwarded)
{
    uint32_t i = 0, k = 0;
    for (;;) {
        const field *x = headers_each(a, &i);
        while (forwarded && x && (x->flags & FIELD_DROP)) {
            x = headers_each(a, &i);
        }
        const field *y = headers_each(b, &k);
        /* framing fields are written anew */
        while (forwarded && y &&
               (y->token == TOKEN_TRANSFER_ENCODING ||
                (y->token == TOKEN_CONTENT_LENGTH && (y->flags & FIELD_DROP)))) {
            y = headers_each(b, &k);
        }
        REQUIRE(!x == !y);
        if (!x || !y) {
            return;
        }
        REQUIRE(str_eq(x->name, y->name) && str_eq(x->value, y->value) && x->token == y->token);
    }
}

static inline void support_same_frame(const msg *a, const msg *b)
{
    REQUIRE(a->body == b->body && a->length == b->length);
    REQUIRE(a->method == b->method && str_eq(a->method_name, b->method_name));
    REQUIRE(str_eq(a->target, b->target) && a->status == b->status);
}

static inline void support_same_message(const msg *a, const msg *b)
{
    support_same_frame(a, b);
    REQUIRE(a->version == b->version && a->minor == b->minor && a->keepalive == b->keepalive);
    REQUIRE(a->upgrade == b->upgrade && a->expect_continue == b->expect_continue);
    REQUIRE(str_eq(a->reason, b->reason) && str_eq(a->host, b->host) && a->port == b->port);
    support_same_fields(&a->h, &b->h, false);
}

/* Exactly one field that frames, or none when there is nothing to frame. */
static inline void support_one_framing_field(const msg *m)
{
    uint32_t at = 0, n = 0;
    for (const field *f; (f = headers_each(&m->h, &at)) != NULL;) {
        n += f->token == TOKEN_TRANSFER_ENCODING || f->token == TOKEN_CONTENT_LENGTH;
    }
    REQUIRE(n == (m->body == MSG_BODY_LENGTH || m->body == MSG_BODY_CHUNKED));
}

#endif
