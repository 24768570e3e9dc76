/* mem.c — the chunk recycler: one set of cells per capacity, per process; pages that a burst left behind go back a second or two later. */
#include "base/mem.h"

#include "base/cells.h"
#include "base/check.h"

#include <stdlib.h>

static const size_t klass_bytes[MEM_KLASSES] = {4096, 16384, 65536, 262144};
static const uint32_t watermark[MEM_KLASSES] = {16, 16, 4, 2};

static struct {
    cells klass[MEM_KLASSES];
    size_t in_use;
} recycler = {.klass = {CELLS(4096), CELLS(16384), CELLS(65536), CELLS(262144)}};

static size_t capacity_of(int klass)
{
    return klass_bytes[klass] - sizeof(mem);
}

static mem *mem_init(mem *m, uint32_t klass, size_t cap)
{
    m->refs = 1;
    m->klass = klass;
    m->cap = cap;
    recycler.in_use += cap;
    return m;
}

mem *mem_new(int klass)
{
    REQUIRE(klass >= 0 && klass < MEM_KLASSES);
    mem *m = cells_take(&recycler.klass[klass]);
    if (!m) {
        fatal("out of memory for a chunk of %zu bytes", klass_bytes[klass]);
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
    mem *m = cells_take(&recycler.klass[klass]);
    return m ? mem_init(m, (uint32_t)klass, capacity_of(klass)) : NULL;
}

void mem_free(mem *m)
{
    REQUIRE(m->refs == 0);
    recycler.in_use -= m->cap;
    if (m->klass < MEM_KLASSES) {
        cells_give(&recycler.klass[m->klass], m);
    } else {
        free(m);
    }
}

void mem_trim(void)
{
    for (int k = 0; k < MEM_KLASSES; k++) {
        cells_trim(&recycler.klass[k], watermark[k]);
    }
}

bool mem_has_spare(void)
{
    bool spare = false;
    for (int k = 0; k < MEM_KLASSES; k++) {
        spare = spare || cells_has_spare(&recycler.klass[k], watermark[k]);
    }
    return spare;
}

size_t mem_in_use(void)
{
    return recycler.in_use;
}
