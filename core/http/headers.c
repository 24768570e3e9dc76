/* headers.c — the field list. Lookups go by token and are linear: heads have a dozen fields. */
#include "http/headers.h"

#include "base/err.h"

enum { FIRST_CAP = 12 };

/* RFC 9110 §5.6.2 tchar. */
static const uint8_t tchar[256] = {
    ['!'] = 1,         ['#' ... '\''] = 1, ['*'] = 1,         ['+'] = 1, ['-'] = 1, ['.'] = 1,
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1,  ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1,
};

void headers_init(headers *h, pool *p)
{
    *h = (headers){.pool = p};
}

bool headers_grow(headers *h)
{
    if (h->n >= HEADERS_MAX) {
        return false;
    }
    uint16_t cap = h->cap ? (uint16_t)(h->cap * 2) : FIRST_CAP;
    if (cap > HEADERS_MAX) {
        cap = HEADERS_MAX;
    }
    field *v = pool_alloc(h->pool, cap * sizeof *v);
    if (h->n) {
        memcpy(v, h->v, h->n * sizeof *v);
    }
    h->v = v;
    h->cap = cap;
    return true;
}

static field *find_token_from(const headers *h, enum token t, uint32_t from)
{
    for (uint32_t i = from; i < h->n; i++) {
        if (h->v[i].token == t && h->v[i].name.n) {
            return &h->v[i];
        }
    }
    return NULL;
}

static field *find_name_from(const headers *h, str name, uint32_t from)
{
    for (uint32_t i = from; i < h->n; i++) {
        field *f = &h->v[i];
        if (f->name.n == name.n && f->token == TOKEN_NONE && name.n && str_ieq(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

field *headers_find(const headers *h, enum token t)
{
    return headers_may_have(h, t) ? find_token_from(h, t, 0) : NULL;
}

field *headers_get(const headers *h, str name)
{
    enum token t = token_find(name);
    return t != TOKEN_NONE ? headers_find(h, t) : find_name_from(h, name, 0);
}

field *headers_next(const headers *h, const field *f)
{
    uint32_t from = (uint32_t)(f - h->v) + 1;
    enum token t = (enum token)f->token;
    return t != TOKEN_NONE ? find_token_from(h, t, from) : find_name_from(h, f->name, from);
}

static inline int add(headers *h, str name, str value, enum token t)
{
    if (UNLIKELY(h->n == h->cap) && !headers_grow(h)) {
        return ERR_LIMIT;
    }
    h->v[h->n++] = (field){name, value, (uint16_t)t, 0};
    h->live++;
    h->seen[t >> 6] |= (uint64_t)1 << (t & 63);
    return 0;
}

int headers_add(headers *h, str name, str value)
{
    return add(h, name, value, token_find(name));
}

int headers_add_token(headers *h, enum token t, str value)
{
    return headers_put_token(h, t, value);
}

static void punch(headers *h, field *f)
{
    f->name.n = 0;
    h->live--;
}

int headers_set(headers *h, str name, str value)
{
    field *first = headers_get(h, name);
    if (!first) {
        return headers_add(h, name, value);
    }
    for (field *f = headers_next(h, first), *next; f; f = next) {
        next = headers_next(h, f);
        punch(h, f);
    }
    first->value = value;
    first->flags = 0;
    return 0;
}

static void remove_from(headers *h, field *f)
{
    while (f) {
        field *next = headers_next(h, f);
        punch(h, f);
        f = next;
    }
}

void headers_remove(headers *h, str name)
{
    remove_from(h, headers_get(h, name));
}

void headers_remove_token(headers *h, enum token t)
{
    remove_from(h, headers_find(h, t));
}

bool headers_value_is_ok(str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool headers_name_is_ok(str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!tchar[(unsigned char)name.p[i]]) {
            return false;
        }
    }
    return name.n > 0;
}

bool headers_lists(const headers *h, enum token t, str element)
{
    for (const field *f = headers_find(h, t); f; f = headers_next(h, f)) {
        str rest = f->value;
        str item;
        while (str_split(&rest, ',', &item)) {
            if (str_ieq(item, element)) {
                return true;
            }
        }
    }
    return false;
}

str headers_joined(const headers *h, str name)
{
    const field *first = headers_get(h, name);
    if (!first) {
        return (str){NULL, 0};
    }
    size_t size = first->value.n;
    uint32_t n = 1;
    for (const field *f = headers_next(h, first); f; f = headers_next(h, f), n++) {
        size += 2 + f->value.n;
    }
    if (n == 1) {
        return first->value;
    }
    char *out = pool_alloc(h->pool, size);
    char *at = out;
    for (const field *f = first; f; f = headers_next(h, f)) {
        if (f != first) {
            *at++ = ',';
            *at++ = ' ';
        }
        memcpy(at, f->value.p, f->value.n);
        at += f->value.n;
    }
    return str_of(out, size);
}

void headers_pin(headers *h)
{
    for (uint16_t i = 0; i < h->n; i++) {
        h->v[i].name = pool_dup(h->pool, h->v[i].name);
        h->v[i].value = pool_dup(h->pool, h->v[i].value);
    }
}
