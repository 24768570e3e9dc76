/* fmt.h — appends to a bounded buffer without printf. A buffer that would overflow keeps what fits
 * and remembers it (`cut`), so one check at the end is enough. */
#ifndef BASE_FMT_H
#define BASE_FMT_H

#include "base/str.h"

typedef struct fmt {
    char *p;    /* next byte to write */
    char *end;  /* one past the last usable byte */
    char *base; /* first byte */
    bool cut;   /* something did not fit */
} fmt;

static inline fmt fmt_of(char *buf, size_t cap)
{
    return (fmt){buf, buf + cap, buf, false};
}

static inline str fmt_str(const fmt *f)
{
    return (str){f->base, (size_t)(f->p - f->base)};
}

static inline void fmt_bytes(fmt *f, const void *src, size_t n)
{
    if (LIKELY((size_t)(f->end - f->p) >= n)) {
        memcpy(f->p, src, n);
        f->p += n;
    } else {
        f->cut = true;
    }
}

static inline void fmt_put(fmt *f, str s)
{
    fmt_bytes(f, s.p, s.n);
}

static inline void fmt_char(fmt *f, char c)
{
    fmt_bytes(f, &c, 1);
}

void fmt_u64(fmt *f, uint64_t v);
void fmt_i64(fmt *f, int64_t v);
void fmt_hex(fmt *f, uint64_t v);
/* `v` thousandths as "12.345". */
void fmt_milli(fmt *f, int64_t v);
/* JSON string body (no quotes): escapes control bytes, quote, backslash; invalid UTF-8 as \ufffd. */
void fmt_json(fmt *f, str s);
void fmt_printf(fmt *f, const char *format, ...) PRINTF(2, 3);

#endif
