/* pool.h — arena with clean-ups; one per request, per connection phase, per configuration.
 *
 * Memory comes in blocks, is never freed one by one, and never runs out (pool_alloc aborts); what a peer
 * may make large goes through pool_try_alloc. Clean-ups run in reverse order of registration. Build with
 * MG_POOL_SEPARATE to make every allocation its own malloc, so that ASan sees overruns. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/attr.h"
#include "base/str.h"

#include <stdint.h>

typedef struct pool {
    char *cur, *end;              /* free part of the current block */
    struct pool_block *blocks;    /* newest first */
    struct pool_cleanup *cleanups;
    char *own, *own_end;          /* memory it was given at the start (pool_init_own), or NULL */
    uint32_t block_size;          /* bytes of a normal block */
    uint32_t total;               /* bytes handed out, for limits and metrics */
} pool;

/* The block size of request pools: with its header a block is one page, from a region of its own. */
enum { POOL_PAGE = 4096 - 16 };

/* No allocation happens before the first pool_alloc. */
void pool_init(pool *p, uint32_t block_size);
/* The same with a first piece of memory that belongs to the caller and outlives the pool: after pool_reset it holds nothing else. */
void pool_init_own(pool *p, uint32_t block_size, void *mem, size_t n);
/* Runs clean-ups, frees everything but one normal block, ready for use again. */
void pool_reset(pool *p);
/* Runs clean-ups and frees everything; the pool may be used again as after pool_init. */
void pool_fini(pool *p);
/* Slow path of pool_alloc. */
void *pool_grow(pool *p, size_t n);
void *pool_zalloc(pool *p, size_t n);
/* NULL when memory is out or the pool holds more than `limit` bytes. */
MUST_USE void *pool_try_alloc(pool *p, size_t n, size_t limit);
/* A NUL-terminated copy. */
str pool_dup(pool *p, str s);
char *pool_cstr(pool *p, str s);
str pool_printf(pool *p, const char *format, ...) PRINTF(2, 3);
/* Concatenation of `n` parts. */
str pool_join(pool *p, const str *parts, size_t n);
/* As mem_trim and mem_has_spare, for spare pages. */
void pool_trim(void);
bool pool_has_spare(void);
void pool_on_fini(pool *p, void (*fn)(void *arg), void *arg);

/* 8-byte aligned, uninitialised. */
static inline void *pool_alloc(pool *p, size_t n)
{
#ifndef MG_POOL_SEPARATE
    n = (n + 7) & ~(size_t)7;
    if (LIKELY((size_t)(p->end - p->cur) >= n)) {
        void *at = p->cur;
        p->cur += n;
        return at;
    }
#endif
    return pool_grow(p, n);
}

#endif
