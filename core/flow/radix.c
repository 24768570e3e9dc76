/* radix.c — see radix.h. Built in a pool with doubling arrays; what a split leaves behind stays in
 * the pool. */
#include "flow/radix.h"

enum { RADIX_FEW = 4 /* children looked through one by one */ };

void radix_init(radix *t, pool *p, bool fold)
{
    *t = (radix){.pool = p, .fold = fold};
    t->root = pool_zalloc(p, sizeof *t->root);
}

static radix_node *node_new(radix *t, str label, radix_node *up)
{
    radix_node *n = pool_zalloc(t->pool, sizeof *n);
    n->label = label;
    n->up = up;
    n->depth = up->depth + (uint32_t)label.n;
    return n;
}

static void add_kid(radix *t, radix_node *n, radix_node *kid)
{
    uint16_t cap = n->nkids;
    if ((cap & (cap - 1)) == 0) { /* full at 0, 1, 2, 4, 8... */
        size_t room = cap ? (size_t)cap * 2 : 1;
        radix_node **kids = pool_alloc(t->pool, room * sizeof *kids);
        uint8_t *keys = pool_alloc(t->pool, room);
        if (cap) {
            memcpy(kids, n->kids, cap * sizeof *kids);
            memcpy(keys, n->keys, cap);
        }
        n->kids = kids;
        n->keys = keys;
    }
    n->keys[n->nkids] = (uint8_t)kid->label.p[0];
    n->kids[n->nkids++] = kid;
}

/* Puts a node in the middle of the edge into kid; kid keeps its identity and its children. */
static radix_node *split(radix *t, radix_node *n, unsigned at, size_t n_common)
{
    radix_node *kid = n->kids[at];
    radix_node *mid = node_new(t, str_of(kid->label.p, n_common), n);
    n->kids[at] = mid;
    kid->label = str_from(kid->label, n_common);
    kid->up = mid;
    add_kid(t, mid, kid);
    return mid;
}

static size_t common(str a, str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n]) {
        n++;
    }
    return n;
}

radix_node *radix_put(radix *t, radix_node *from, str key)
{
    radix_node *n = from ? from : t->root;
    while (key.n) {
        unsigned at = 0;
        while (at < n->nkids && n->keys[at] != (uint8_t)key.p[0]) {
            at++;
        }
        if (at == n->nkids) {
            radix_node *leaf = node_new(t, key, n);
            add_kid(t, n, leaf);
            return leaf;
        }
        size_t same = common(n->kids[at]->label, key);
        n = same < n->kids[at]->label.n ? split(t, n, at, same) : n->kids[at];
        key = str_from(key, same);
    }
    return n;
}

radix_node *radix_put_wild(radix *t, radix_node *from)
{
    if (!from->wild) {
        from->wild = pool_zalloc(t->pool, sizeof *from->wild);
        from->wild->up = from;
    }
    return from->wild;
}

static void seal(radix *t, radix_node *n)
{
    n->near_item = n->item ? n : n->up ? n->up->near_item : NULL;
    if (n->nkids > RADIX_FEW) {
        n->index = pool_zalloc(t->pool, 256);
    }
    for (unsigned i = 0; i < n->nkids; i++) {
        if (n->index) {
            n->index[n->keys[i]] = (uint8_t)(i + 1);
        }
        seal(t, n->kids[i]);
    }
    if (n->wild) {
        seal(t, n->wild);
    }
}

void radix_seal(radix *t)
{
    seal(t, t->root);
}

static inline radix_node *kid_of(const radix_node *n, unsigned char byte)
{
    if (n->index) {
        uint8_t at = n->index[byte];
        return at ? n->kids[at - 1] : NULL;
    }
    for (unsigned i = 0; i < n->nkids; i++) {
        if (n->keys[i] == byte) {
            return n->kids[i];
        }
    }
    return NULL;
}

/* Is the label at p? Labels are a few bytes: a loop beats a call. The first byte was compared by
 * kid_of. */
static inline bool label_is_at(const radix_node *n, const char *p, size_t left, bool fold)
{
    if (left < n->label.n) {
        return false;
    }
    for (size_t i = 1; i < n->label.n; i++) {
        char c = fold ? (char)str_lower_char((unsigned char)p[i]) : p[i];
        if (c != n->label.p[i]) {
            return false;
        }
    }
    return true;
}

radix_node *radix_enter(const radix *t, const radix_node *n, str rest)
{
    radix_node *kid = rest.n ? kid_of(n, (unsigned char)rest.p[0]) : NULL;
    return kid && label_is_at(kid, rest.p, rest.n, t->fold) ? kid : NULL;
}

static inline const radix_node *walk(const radix *t, str text, bool fold)
{
    const radix_node *n = t->root;
    const char *end = text.p + text.n;
    for (const char *p = text.p; p < end; p += n->label.n) {
        unsigned char c = (unsigned char)*p;
        const radix_node *kid = kid_of(n, fold ? str_lower_char(c) : c);
        if (!kid || !label_is_at(kid, p, (size_t)(end - p), fold)) {
            break;
        }
        n = kid;
    }
    return n->near_item;
}

const radix_node *radix_walk(const radix *t, str text)
{
    return t->fold ? walk(t, text, true) : walk(t, text, false);
}
