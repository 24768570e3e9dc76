/* cells.c — see cells.h. Regions are never unmapped: an untouched or given-back page costs address space only. */
#include "base/cells.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { REGION = 4 << 20, PAGE = 4096, FIRST_STACK = 64 };

#ifndef MG_POOL_SEPARATE
static int open_region(cells *c)
{
    void *at = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return -1;
    }
    (void)madvise(at, REGION, MADV_NOHUGEPAGE); /* a huge page would keep given-back cells resident */
    c->fresh = at;
    c->end = c->fresh + REGION / c->size * c->size;
    return 0;
}

void *cells_take(cells *c)
{
    if (LIKELY(c->nfree)) {
        void *cell = c->free[--c->nfree];
        if (c->nfree < c->least) {
            c->least = c->nfree;
        }
        return cell;
    }
    c->dry = 0;
    if (c->fresh == c->end && open_region(c) < 0) {
        return NULL;
    }
    void *cell = c->fresh;
    c->fresh += c->size;
    return cell;
}

void cells_give(cells *c, void *cell)
{
    if (UNLIKELY(c->nfree == c->cap)) {
        uint32_t cap = c->cap ? c->cap * 2 : FIRST_STACK;
        void **more = realloc(c->free, cap * sizeof *more);
        if (!more) {
            return; /* the cell is lost, not the process */
        }
        c->free = more;
        c->cap = cap;
    }
    c->free[c->nfree++] = cell;
}

size_t cells_trim(cells *c, uint32_t keep)
{
    uint32_t idle = c->least < c->nfree ? c->least : c->nfree;
    uint32_t drop = idle > keep ? idle - keep : 0;
    size_t given = 0;
    if (c->dry > c->nfree) {
        c->dry = c->nfree;
    }
    if (c->least < c->dry) {
        c->dry = c->least; /* what was taken since may have been used and put back */
    }
    for (uint32_t i = c->dry; i < drop; i++) {
        if (c->size % PAGE == 0 && madvise(c->free[i], c->size, MADV_DONTNEED) == 0) {
            given += c->size;
        }
    }
    if (drop > c->dry) {
        c->dry = drop;
    }
    c->least = c->nfree;
    return given;
}
#else
void *cells_take(cells *c)
{
    return malloc(c->size);
}

void cells_give(cells *c, void *cell)
{
    (void)c;
    free(cell);
}

size_t cells_trim(cells *c, uint32_t keep)
{
    (void)c;
    (void)keep;
    return 0;
}
#endif
