/* mem.c — the chunk recycler: one free list per capacity, per process.
 *
 * A list holds at most four times its watermark; mem_trim brings it back to the watermark. Builds for
 * ASan (MG_POOL_SEPARATE) recycle nothing, so that a use after the last unref is seen. */
#include "base/mem.h"

#include "base/check.h"

#include <stdlib.h>

static const size_t klass_bytes[MEM_KLASSES] = {4096, 16384, 65536, 262144};
static const uint32_t watermark[MEM_KLASSES] = {64, 32, 8, 4};

static struct {
    mem *free[MEM_KLASSES];
    uint32_t count[MEM_KLASSES];
    size_t in_use;
} recycler;

static size_t capacity_of(int klass)
{
    return klass_bytes[klass] - sizeof(mem);
}

static mem *mem_init(mem *m, uint32_t klass, size_t cap)
{
    m->refs = 1;
    m->klass = klass;
    m->cap = cap;
    m->next_free = NULL;
    recycler.in_use += cap;
    return m;
}

static mem *take_free(int klass)
{
    mem *m = recycler.free[klass];
    if (m) {
        recycler.free[klass] = m->next_free;
        recycler.count[klass]--;
    }
    return m;
}

mem *mem_new(int klass)
{
    REQUIRE(klass >= 0 && klass < MEM_KLASSES);
    mem *m = take_free(klass);
    if (!m) {
        m = malloc(klass_bytes[klass]);
        if (!m) {
            fatal("out of memory for a chunk of %zu bytes", klass_bytes[klass]);
        }
    }
    return mem_init(m, (uint32_t)klass, capacity_of(klass));
}

mem *mem_try_new(size_t n)
{
    int klass = 0;
    while (klass < MEM_KLASSES && capacity_of(klass) < n) {
        klass++;
    }
    if (klass == MEM_EXACT) {
        mem *m = n > SIZE_MAX - sizeof(mem) ? NULL : malloc(sizeof(mem) + n);
        return m ? mem_init(m, MEM_EXACT, n) : NULL;
    }
    mem *m = take_free(klass);
    if (!m) {
        m = malloc(klass_bytes[klass]);
    }
    return m ? mem_init(m, (uint32_t)klass, capacity_of(klass)) : NULL;
}

void mem_free(mem *m)
{
    REQUIRE(m->refs == 0);
    recycler.in_use -= m->cap;
#ifndef MG_POOL_SEPARATE
    uint32_t k = m->klass;
    if (k < MEM_KLASSES && recycler.count[k] < 4 * watermark[k]) {
        m->next_free = recycler.free[k];
        recycler.free[k] = m;
        recycler.count[k]++;
        return;
    }
#endif
    free(m);
}

void mem_trim(void)
{
    for (int k = 0; k < MEM_KLASSES; k++) {
        while (recycler.count[k] > watermark[k]) {
            free(take_free(k));
        }
    }
}

size_t mem_in_use(void)
{
    return recycler.in_use;
}
