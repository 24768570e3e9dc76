/* recode.c — see recode.h. Bytes that a table does not have are themselves in ASCII and a question mark beyond; characters beyond the other charset become references
 * of HTML. */
#include "flow/recode.h"

#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

enum { BYTES = 256, ASCII = 128, UTF8_MAX = 4 };

struct code {
    uint32_t point;
    unsigned char byte;
};

struct recode {
    str from, to;
    bool from_utf8, to_utf8;
    str text[BYTES];    /* what a byte becomes; of from_utf8 unused */
    struct code *codes; /* of from_utf8: sorted */
    int ncodes;
};

static bool is_utf8(str name)
{
    return str_ieq(name, STR("utf-8"));
}

/* Bytes of the character that begins here; 0: none does. RFC 3629 §3. */
static size_t utf8_length(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* ERR: -1. `s` has the bytes that its first one asks for. */
static int32_t utf8_point(const char *s, size_t n)
{
    unsigned char first = (unsigned char)s[0];
    uint32_t point = n == 1 ? first : first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if ((c & 0xc0) != 0x80) {
            return -1;
        }
        point = point << 6 | (c & 0x3f);
    }
    return (int32_t)point;
}

/* ---- compiling */

static int by_point(const void *a, const void *b)
{
    const struct code *x = a, *y = b;
    return x->point < y->point ? -1 : x->point > y->point;
}

static recode *new_one(str from, str to, pool *p)
{
    static const char ascii[] = "?";
    recode *c = pool_zalloc(p, sizeof *c);
    char *self = pool_alloc(p, ASCII);
    *c = (recode){.from = from, .to = to, .from_utf8 = is_utf8(from), .to_utf8 = is_utf8(to)};
    for (int i = 0; i < BYTES; i++) {
        if (i < ASCII) {
            self[i] = (char)i;
        }
        c->text[i] = str_of(i < ASCII ? &self[i] : ascii, 1);
    }
    return c;
}

static recode *forth(const struct conf_charmap *m, pool *p)
{
    recode *c = new_one(m->from, m->to, p);
    for (int i = 0; i < m->keys.n; i++) {
        c->text[(unsigned char)m->keys.v[i].p[0]] = m->values.v[i];
    }
    return c;
}

static recode *back(const struct conf_charmap *m, pool *p)
{
    recode *c = new_one(m->to, m->from, p);
    c->codes = pool_alloc(p, sizeof *c->codes * (size_t)(m->keys.n + 1));
    for (int i = 0; i < m->keys.n; i++) {
        str value = m->values.v[i];
        if (c->from_utf8 && utf8_length((unsigned char)value.p[0]) == value.n) {
            c->codes[c->ncodes++] = (struct code){(uint32_t)utf8_point(value.p, value.n), (unsigned char)m->keys.v[i].p[0]};
        } else if (!c->from_utf8) {
            c->text[(unsigned char)value.p[0]] = m->keys.v[i];
        }
    }
    qsort(c->codes, (size_t)c->ncodes, sizeof *c->codes, by_point);
    return c;
}

recodes *recodes_new(const struct conf_charmaps *c, pool *p)
{
    recodes *all = pool_zalloc(p, sizeof *all);
    all->v = pool_alloc(p, sizeof(recode *) * (size_t)(2 * c->n + 1));
    for (int i = 0; i < c->n; i++) {
        all->v[all->n++] = forth(&c->v[i], p);
        all->v[all->n++] = back(&c->v[i], p);
    }
    return all;
}

const recode *recode_find(const recodes *all, str from, str to)
{
    for (int i = 0; i < all->n; i++) {
        if (str_ieq(all->v[i]->from, from) && str_ieq(all->v[i]->to, to)) {
            return all->v[i];
        }
    }
    return NULL;
}

bool recode_keeps_length(const recode *c)
{
    return !c->from_utf8 && !c->to_utf8;
}

/* ---- running */

static size_t from_bytes(const recode *c, str in, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        str t = c->text[(unsigned char)in.p[i]];
        memcpy(out + n, t.p, t.n);
        n += t.n;
    }
    return n;
}

static size_t put_point(const recode *c, int32_t point, char *out)
{
    struct code key = {.point = (uint32_t)point};
    const struct code *found = c->ncodes ? bsearch(&key, c->codes, (size_t)c->ncodes, sizeof key, by_point) : NULL;
    if (found) {
        out[0] = (char)found->byte;
        return 1;
    }
    char text[16];
    int n = snprintf(text, sizeof text, "&#%d;", (int)point);
    memcpy(out, text, (size_t)n);
    return (size_t)n;
}

static size_t from_utf8(const recode *c, str in, bool last, char *out, size_t *used)
{
    size_t n = 0, i = 0;
    while (i < in.n) {
        size_t len = utf8_length((unsigned char)in.p[i]);
        if (len == 1) {
            out[n++] = in.p[i++];
            continue;
        }
        if (len > in.n - i && !last) {
            break; /* the rest of it comes later */
        }
        int32_t point = len && len <= in.n - i ? utf8_point(in.p + i, len) : -1;
        if (point < 0) {
            out[n++] = '?';
            i++;
            continue;
        }
        n += put_point(c, point, out + n);
        i += len;
    }
    *used = i;
    return n;
}

size_t recode_run(const recode *c, str in, bool last, char *out, size_t *used)
{
    if (c->from_utf8) {
        return from_utf8(c, in, last, out, used);
    }
    *used = in.n;
    return from_bytes(c, in, out);
}
