/* cells.h — fixed-size cells carved from regions of their own, so that long-lived small objects and short-lived large ones never share pages: after a burst
 * the pages of the large ones go back to the system, and what stays is what is used.
 *
 * Free cells are a stack (the warmest on top). cells_trim gives back the pages of those at the bottom that nobody needed since the last trim. With
 * MG_POOL_SEPARATE every cell is a malloc of its own. One loop per process: no locks. */
#ifndef BASE_CELLS_H
#define BASE_CELLS_H

#include "base/attr.h"

#include <stdint.h>

typedef struct cells {
    size_t size;       /* bytes of a cell; a multiple of 16 (of the page size to be trimmed) */
    void **free;       /* stack of free cells */
    uint32_t nfree, cap;
    uint32_t least;    /* lowest nfree since the last trim */
    uint32_t dry;      /* cells at the bottom whose pages were given back */
    char *fresh, *end; /* never used part of the newest region */
} cells;

#define CELLS(bytes) {.size = (bytes)}

/* NULL when memory is out. Contents are undefined. */
MUST_USE void *cells_take(cells *c);
void cells_give(cells *c, void *cell);
/* Gives back pages of cells beyond `keep` that stayed free since the last call. Returns bytes given back. */
size_t cells_trim(cells *c, uint32_t keep);
/* Would a trim have something to do now or later? */
static inline int cells_has_spare(const cells *c, uint32_t keep)
{
    return c->nfree > keep + c->dry;
}

#endif
