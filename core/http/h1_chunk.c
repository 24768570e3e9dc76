/* h1_chunk.c — the chunked coding.
 *
 * Strict on purpose (RFC 9112 §7.1): a chunk size is hex digits only, at most 16 of them and below
 * 2^63 in sum; no white space around it; lines end in CRLF. What two implementations may read
 * differently is refused. */
#include "http/h1_chunk.h"

#include "base/err.h"

enum { EXT_MAX = 4096, SIZE_DIGITS_MAX = 16 };

enum state {
    SIZE_FIRST,                                  /* at least one digit must come */
    SIZE_MORE,                                   /* more digits, ";" or CR */
    SIZE_LAST = SIZE_MORE + SIZE_DIGITS_MAX - 1, /* SIZE_MORE + i: i + 1 digits seen */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    DONE,
};

void h1_chunk_init(h1_chunk *c)
{
    *c = (h1_chunk){0};
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int on_size(h1_chunk *c, unsigned char b)
{
    int digit = hex_value(b);
    if (digit >= 0) {
        if (c->state == SIZE_LAST || c->left > (uint64_t)INT64_MAX >> 4) {
            return ERR_BAD_CHUNK;
        }
        c->left = c->left << 4 | (unsigned)digit;
        c->state++;
        return 0;
    }
    if (c->state == SIZE_FIRST || (b != ';' && b != '\r')) {
        return ERR_BAD_CHUNK;
    }
    c->state = b == ';' ? EXTENSION : SIZE_LF;
    return 0;
}

static int on_extension(h1_chunk *c, unsigned char b)
{
    if (b == '\r') {
        c->state = SIZE_LF;
        return 0;
    }
    /* all chunks together: a peer must not make us read megabytes that carry nothing */
    if ((b < 0x20 && b != '\t') || b == 0x7f || ++c->ext > EXT_MAX) {
        return ERR_BAD_CHUNK;
    }
    return 0;
}

static int on_size_end(h1_chunk *c, unsigned char b)
{
    if (b != '\n' || c->left > (uint64_t)INT64_MAX - c->total) {
        return ERR_BAD_CHUNK;
    }
    c->total += c->left;
    c->state = c->left ? DATA : DONE;
    return 0;
}

/* One byte of framing. */
static int on_byte(h1_chunk *c, unsigned char b)
{
    switch (c->state) {
    case EXTENSION:
        return on_extension(c, b);
    case SIZE_LF:
        return on_size_end(c, b);
    case DATA_CR:
        c->state = DATA_LF;
        return b == '\r' ? 0 : ERR_BAD_CHUNK;
    case DATA_LF:
        c->state = SIZE_FIRST;
        return b == '\n' ? 0 : ERR_BAD_CHUNK;
    default:
        return on_size(c, b);
    }
}

int h1_chunk_decode(h1_chunk *c, str in, str *data, size_t *used)
{
    *data = STR_EMPTY;
    size_t i = 0;
    while (c->state != DONE && c->state != DATA && i < in.n) {
        int rc = on_byte(c, (unsigned char)in.p[i++]);
        if (rc < 0) {
            *used = i;
            return rc;
        }
    }
    if (c->state == DATA && i < in.n) {
        size_t n = in.n - i < c->left ? in.n - i : (size_t)c->left;
        *data = str_of(in.p + i, n);
        i += n;
        c->left -= n;
        if (c->left == 0) {
            c->state = DATA_CR;
        }
    }
    *used = i;
    return c->state == DONE;
}

size_t h1_chunk_head(char *buf, uint64_t n)
{
    char digits[SIZE_DIGITS_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n);
    size_t len = sizeof digits - at;
    memcpy(buf, digits + at, len);
    buf[len] = '\r';
    buf[len + 1] = '\n';
    return len + 2;
}
