/* pool.c — the arena's slow paths.
 *
 * Blocks of the normal size come from and go back to a small per-process recycler, so that a request whose
 * pool is finished at its end costs no malloc; blocks that fill a page (POOL_PAGE) lie in regions of their own. An allocation over half a block gets a block of its own and
 * leaves the current one in use. With MG_POOL_SEPARATE every allocation is such a block, nothing is kept. */
#include "base/pool.h"

#include "base/cells.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct pool_block {
    struct pool_block *next;
    size_t size; /* bytes of data[] */
    char data[];
} pool_block;

typedef struct pool_cleanup {
    struct pool_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
} pool_cleanup;

enum { SPARE_SIZES = 4, SPARE_MAX = 64, PAGES_KEPT = 16 };

#ifndef MG_POOL_SEPARATE
/* Spare blocks, one list per block size; the sizes are the few constants of the code base. */
static struct spare {
    size_t size;
    uint32_t n;
    pool_block *list;
} spares[SPARE_SIZES];

static struct spare *spare_of(size_t size)
{
    for (int i = 0; i < SPARE_SIZES; i++) {
        if (spares[i].size == size) {
            return &spares[i];
        }
        if (spares[i].size == 0) {
            spares[i].size = size;
            return &spares[i];
        }
    }
    return NULL;
}
#endif

/* Blocks of POOL_PAGE bytes: the requests'. */
static cells pages = CELLS(4096);

void pool_trim(void)
{
    cells_trim(&pages, PAGES_KEPT);
}

bool pool_has_spare(void)
{
    return cells_has_spare(&pages, PAGES_KEPT);
}

static pool_block *block_new(size_t size)
{
    if (size == POOL_PAGE) {
        pool_block *page = cells_take(&pages);
        if (page) {
            page->size = size;
        }
        return page;
    }
#ifndef MG_POOL_SEPARATE
    struct spare *s = spare_of(size);
    if (s && s->list) {
        pool_block *b = s->list;
        s->list = b->next;
        s->n--;
        return b;
    }
#endif
    if (size > SIZE_MAX - sizeof(pool_block)) {
        return NULL;
    }
    pool_block *b = malloc(sizeof *b + size);
    if (b) {
        b->size = size;
    }
    return b;
}

static void block_free(const pool *p, pool_block *b)
{
    if (b->size == POOL_PAGE) {
        cells_give(&pages, b);
        return;
    }
#ifndef MG_POOL_SEPARATE
    if (b->size == p->block_size) {
        struct spare *s = spare_of(b->size);
        if (s && s->n < SPARE_MAX) {
            b->next = s->list;
            s->list = b;
            s->n++;
            return;
        }
    }
#endif
    (void)p;
    free(b);
}

void pool_init(pool *p, uint32_t block_size)
{
    *p = (pool){.block_size = (block_size + 7) & ~7u};
}

void pool_init_own(pool *p, uint32_t block_size, void *mem, size_t n)
{
    pool_init(p, block_size);
    p->own = mem;
    p->own_end = p->own + (n & ~(size_t)7);
    p->cur = p->own;
    p->end = p->own_end;
}

static void run_cleanups(pool *p)
{
    /* a clean-up may register another one: the list is read anew each time */
    while (p->cleanups) {
        pool_cleanup *c = p->cleanups;
        p->cleanups = c->next;
        c->fn(c->arg);
    }
}

/* Frees all blocks but `keep`. */
static void free_blocks(pool *p, const pool_block *keep)
{
    pool_block *b = p->blocks;
    while (b) {
        pool_block *next = b->next;
        if (b != keep) {
            block_free(p, b);
        }
        b = next;
    }
}

void pool_reset(pool *p)
{
    if (LIKELY(p->own && !p->blocks && !p->cleanups)) { /* it never outgrew its first part */
        p->cur = p->own;
        p->end = p->own_end;
        return;
    }
    run_cleanups(p);
#ifdef MG_POOL_SEPARATE
    pool_fini(p);
#else
    if (p->own) {
        free_blocks(p, NULL);
        p->blocks = NULL;
        p->total = 0;
        p->cur = p->own;
        p->end = p->own_end;
        return;
    }
    pool_block *keep = p->blocks;
    while (keep && keep->size != p->block_size) {
        keep = keep->next;
    }
    free_blocks(p, keep);
    p->blocks = keep;
    p->total = 0;
    p->cur = p->end = NULL;
    if (keep) {
        keep->next = NULL;
        p->cur = keep->data;
        p->end = keep->data + keep->size;
        p->total = p->block_size;
    }
#endif
}

void pool_fini(pool *p)
{
    run_cleanups(p);
    free_blocks(p, NULL);
    pool_init(p, p->block_size);
}

/* NULL when memory is out. */
static void *try_grow(pool *p, size_t n)
{
    bool own = n > p->block_size / 2;
#ifdef MG_POOL_SEPARATE
    own = true;
#endif
    size_t size = own ? n : p->block_size;
    pool_block *b = block_new(size);
    if (!b) {
        return NULL;
    }
    p->total += (uint32_t)size;
    b->next = p->blocks;
    p->blocks = b;
    if (!own) {
        p->cur = b->data + n;
        p->end = b->data + size;
    }
    return b->data;
}

void *pool_grow(pool *p, size_t n)
{
    void *at = try_grow(p, n);
    if (!at) {
        fatal("out of memory for %zu bytes of a pool", n);
    }
    return at;
}

void *pool_zalloc(pool *p, size_t n)
{
    void *at = pool_alloc(p, n);
    memset(at, 0, n);
    return at;
}

void *pool_try_alloc(pool *p, size_t n, size_t limit)
{
    if (n > limit || p->total > limit - n || n > UINT32_MAX / 2) {
        return NULL;
    }
#ifndef MG_POOL_SEPARATE
    n = (n + 7) & ~(size_t)7;
    if ((size_t)(p->end - p->cur) >= n) {
        void *at = p->cur;
        p->cur += n;
        return at;
    }
#endif
    return try_grow(p, n);
}

char *pool_cstr(pool *p, str s)
{
    char *z = pool_alloc(p, s.n + 1);
    if (s.n) {
        memcpy(z, s.p, s.n);
    }
    z[s.n] = 0;
    return z;
}

str pool_dup(pool *p, str s)
{
    return str_of(pool_cstr(p, s), s.n);
}

str pool_printf(pool *p, const char *format, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(small, sizeof small, format, ap);
    va_end(ap);
    REQUIRE(n >= 0);
    if ((size_t)n < sizeof small) {
        return pool_dup(p, str_of(small, (size_t)n));
    }
    char *z = pool_alloc(p, (size_t)n + 1);
    va_start(ap, format);
    n = vsnprintf(z, (size_t)n + 1, format, ap);
    va_end(ap);
    return str_of(z, (size_t)n);
}

str pool_join(pool *p, const str *parts, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += parts[i].n;
    }
    char *z = pool_alloc(p, size + 1);
    char *at = z;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n) {
            memcpy(at, parts[i].p, parts[i].n);
            at += parts[i].n;
        }
    }
    *at = 0;
    return str_of(z, size);
}

void pool_on_fini(pool *p, void (*fn)(void *arg), void *arg)
{
    pool_cleanup *c = pool_alloc(p, sizeof *c);
    *c = (pool_cleanup){p->cleanups, fn, arg};
    p->cleanups = c;
}
