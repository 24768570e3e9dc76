/* range.c — see range.h. Malformed ranges are unsatisfiable (a server may reject them, RFC 9110 §14.2), as nginx has it. */
#include "http/range.h"

enum { PART_COST = 256, PART_FREE = 4096 };

struct cursor {
    const char *p, *end;
};

static void skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t')) {
        c->p++;
    }
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* False: no digit here, or a number beyond int64. */
static bool read_number(struct cursor *c, int64_t *out)
{
    int64_t v = 0;
    if (c->p == c->end || !is_digit(*c->p)) {
        return false;
    }
    for (; c->p < c->end && is_digit(*c->p); c->p++) {
        int digit = *c->p - '0';
        if (v > (INT64_MAX - digit) / 10) {
            return false;
        }
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

static bool at_end_of_spec(const struct cursor *c)
{
    return c->p == c->end || *c->p == ',';
}

/* One range-spec. False: malformed. from >= end: it selects nothing. */
static bool read_spec(struct cursor *c, int64_t size, range *out)
{
    skip_blanks(c);
    bool suffix = c->p < c->end && *c->p == '-';
    int64_t first = 0;
    if (!suffix && !read_number(c, &first)) {
        return false;
    }
    skip_blanks(c);
    if (c->p == c->end || *c->p != '-') {
        return false;
    }
    c->p++;
    skip_blanks(c);
    int64_t last = 0;
    if (!suffix && at_end_of_spec(c)) {
        *out = (range){first, size};
        return true;
    }
    if (!read_number(c, &last)) {
        return false;
    }
    skip_blanks(c);
    if (suffix) {
        *out = (range){last < size ? size - last : 0, size};
    } else {
        *out = (range){first, last < size ? last + 1 : size};
    }
    return at_end_of_spec(c);
}

int range_count(str value)
{
    int n = 1;
    for (size_t i = 0; i < value.n && n < RANGE_MAX; i++) {
        n += value.p[i] == ',';
    }
    return n;
}

/* Is it less work than sending everything? */
static bool is_worth_it(int n, int64_t total, int64_t size, bool lean)
{
    if (n == 1) {
        return true;
    }
    return total <= size && (!lean || (int64_t)n * PART_COST - PART_FREE <= size - total);
}

int range_parse(str value, int64_t size, int max, bool lean, range *out)
{
    static const str unit = {"bytes=", 6};
    if (value.n <= unit.n || !str_has_iprefix(value, unit)) {
        return RANGE_WHOLE;
    }
    struct cursor c = {value.p + unit.n, value.p + value.n};
    int64_t total = 0;
    int n = 0;
    for (;;) {
        range one;
        if (!read_spec(&c, size, &one)) {
            return RANGE_UNSATISFIABLE;
        }
        if (one.from < one.end) {
            if (n == max) {
                return RANGE_WHOLE;
            }
            int64_t bytes = one.end - one.from;
            if (bytes > INT64_MAX - total) {
                return RANGE_WHOLE; /* together more than there is, whatever there is */
            }
            total += bytes;
            out[n++] = one;
        } else if (one.from == 0) {
            return RANGE_WHOLE; /* the first byte of nothing, or "0-" of an empty file */
        }
        if (c.p == c.end) {
            break;
        }
        c.p++;
    }
    if (n == 0) {
        return RANGE_UNSATISFIABLE;
    }
    return is_worth_it(n, total, size, lean) ? n : RANGE_WHOLE;
}
