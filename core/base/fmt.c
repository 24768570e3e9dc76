/* fmt.c — numbers and JSON text into a bounded buffer. */
#include "base/fmt.h"

#include <stdarg.h>
#include <stdio.h>

enum { U64_DIGITS = 20, U64_HEX_DIGITS = 16 };

void fmt_u64(fmt *f, uint64_t v)
{
    char buf[U64_DIGITS];
    char *at = buf + sizeof buf;
    while (v >= 100) { /* two digits at a time: lengths and times are written with every head */
        unsigned two = (unsigned)(v % 100);
        v /= 100;
        *--at = (char)('0' + two % 10);
        *--at = (char)('0' + two / 10);
    }
    if (v >= 10) {
        *--at = (char)('0' + v % 10);
        v /= 10;
    }
    *--at = (char)('0' + v);
    fmt_bytes(f, at, (size_t)(buf + sizeof buf - at));
}

void fmt_i64(fmt *f, int64_t v)
{
    if (v < 0) {
        fmt_char(f, '-');
        fmt_u64(f, 0 - (uint64_t)v);
    } else {
        fmt_u64(f, (uint64_t)v);
    }
}

void fmt_hex(fmt *f, uint64_t v)
{
    char buf[U64_HEX_DIGITS];
    char *at = buf + sizeof buf;
    do {
        *--at = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v != 0);
    fmt_bytes(f, at, (size_t)(buf + sizeof buf - at));
}

void fmt_milli(fmt *f, int64_t v)
{
    if (v < 0) {
        fmt_char(f, '-');
    }
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    unsigned part = (unsigned)(u % 1000);
    fmt_u64(f, u / 1000);
    char tail[4] = {'.', (char)('0' + part / 100), (char)('0' + part / 10 % 10),
                    (char)('0' + part % 10)};
    fmt_bytes(f, tail, sizeof tail);
}

/* Length of the well-formed UTF-8 sequence at the start of `s` (Unicode 15 table 3-7), 0 when
 * malformed. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    unsigned char lead = s[0];
    unsigned char low = 0x80, high = 0xbf;
    size_t len;
    if (lead >= 0xc2 && lead <= 0xdf) {
        len = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        len = 3;
        low = lead == 0xe0 ? 0xa0 : 0x80;  /* no overlong forms */
        high = lead == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        len = 4;
        low = lead == 0xf0 ? 0x90 : 0x80;
        high = lead == 0xf4 ? 0x8f : 0xbf; /* nothing above U+10FFFF */
    } else {
        return 0;
    }
    if (n < len || s[1] < low || s[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

static void json_control(fmt *f, unsigned char c)
{
    switch (c) {
    case '\n':
        fmt_bytes(f, "\\n", 2);
        return;
    case '\r':
        fmt_bytes(f, "\\r", 2);
        return;
    case '\t':
        fmt_bytes(f, "\\t", 2);
        return;
    default: {
        char esc[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
        fmt_bytes(f, esc, sizeof esc);
    }
    }
}

void fmt_json(fmt *f, str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        size_t run = i;
        while (run < s.n && p[run] >= 0x20 && p[run] < 0x7f && p[run] != '"' && p[run] != '\\') {
            run++;
        }
        fmt_bytes(f, p + i, run - i);
        i = run;
        if (i == s.n) {
            return;
        }
        if (p[i] >= 0x80) {
            size_t len = utf8_length(p + i, s.n - i);
            fmt_bytes(f, len ? (const char *)(p + i) : "\\ufffd", len ? len : 6);
            i += len ? len : 1;
        } else if (p[i] == '"' || p[i] == '\\') {
            char esc[2] = {'\\', (char)p[i++]};
            fmt_bytes(f, esc, 2);
        } else {
            json_control(f, p[i++]);
        }
    }
}

void fmt_printf(fmt *f, const char *format, ...)
{
    size_t room = (size_t)(f->end - f->p);
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(f->p, room, format, ap);
    va_end(ap);
    /* vsnprintf needs a byte for its NUL: a text that fills the room exactly counts as cut */
    if (n < 0 || (size_t)n >= room) {
        f->cut = true;
        f->p += room > 0 && n >= 0 ? room - 1 : 0;
        return;
    }
    f->p += n;
}
