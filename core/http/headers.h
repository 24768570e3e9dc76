/* headers.h — an ordered list of fields. Names and values are borrowed views (the head's chunk, a pool or static memory).
 * Fields are kept in order of arrival, duplicates included; removed fields leave a hole (name.n == 0) that everyone skips. */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include "base/err.h"
#include "base/pool.h"
#include "base/str.h"
#include "http/token.h"

typedef struct field {
    str name;
    str value;
    uint16_t token; /* enum token */
    uint16_t flags; /* FIELD_* */
} field;

enum { HEADERS_MAX = 4096 };
enum { FIELD_DROP = 1 /* not forwarded: hop-by-hop or named by Connection */ };

typedef struct headers {
    field *v;
    uint16_t n, cap;
    uint16_t live;     /* fields that are not holes */
    uint64_t seen[2];  /* bit per token that is present (or was: a hint, never a false "absent") */
    pool *pool;        /* where v grows and copies go */
} headers;

void headers_init(headers *h, pool *p);
static inline bool headers_may_have(const headers *h, enum token t)
{
    return (h->seen[t >> 6] >> (t & 63)) & 1;
}
/* The first field with this token, or NULL. */
field *headers_find(const headers *h, enum token t);
/* The first field of this name (case-insensitive), or NULL; finds known names by token. */
field *headers_get(const headers *h, str name);
/* The next one of the same name after `f`, or NULL. */
field *headers_next(const headers *h, const field *f);
/* Appends; views are borrowed. ERR_LIMIT past 4096 fields. */
MUST_USE int headers_add(headers *h, str name, str value);
MUST_USE int headers_add_token(headers *h, enum token t, str value);
/* Makes room for more fields; false past HEADERS_MAX. */
MUST_USE bool headers_grow(headers *h);
/* headers_add_token in place: every answer gets two. */
MUST_USE static inline int headers_put_token(headers *h, enum token t, str value)
{
    if (UNLIKELY(h->n == h->cap) && !headers_grow(h)) {
        return ERR_LIMIT;
    }
    h->v[h->n++] = (field){token_wire_name(t), value, (uint16_t)t, 0};
    h->live++;
    h->seen[t >> 6] |= 1ull << (t & 63);
    return 0;
}
/* Replaces the first and removes the rest; appends when absent. */
MUST_USE int headers_set(headers *h, str name, str value);
void headers_remove(headers *h, str name);
void headers_remove_token(headers *h, enum token t);
/* A field's value has bytes that may not stand in one (CR, LF, NUL, other controls but HTAB). */
bool headers_value_is_ok(str value);
bool headers_name_is_ok(str name);
/* Is `element` (case-insensitive) in any of the comma-separated values of token `t`? */
bool headers_lists(const headers *h, enum token t, str element);
/* All values of a name joined by ", " (in the pool when there are several); {NULL,0} when absent. */
str headers_joined(const headers *h, str name);
/* Copies names and values into the list's pool: they no longer point into what they were parsed from. */
void headers_pin(headers *h);
/* Iterates live fields: start with at = 0. */
static inline field *headers_each(const headers *h, uint32_t *at)
{
    while (*at < h->n) {
        field *f = &h->v[(*at)++];
        if (f->name.n) {
            return f;
        }
    }
    return NULL;
}

#endif
