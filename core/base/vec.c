/* vec.c — growth of VEC arrays. */
#include "base/vec.h"

#include "base/check.h"

#include <stdlib.h>

void *vec_grow(void *v, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap) {
        return v;
    }
    REQUIRE(*cap < UINT32_MAX / 2);
    uint32_t wider = *cap ? *cap * 2 : 8;
    void *moved = reallocarray(v, wider, size);
    if (!moved) {
        fatal("out of memory for %u elements of %zu bytes", wider, size);
    }
    *cap = wider;
    return moved;
}

void vec_free(void *v)
{
    free(v);
}
