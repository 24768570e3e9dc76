/* mem.h — reference-counted chunks of a few fixed capacities, recycled per process.
 *
 * A chunk is the unit in which bytes enter (stream in-buffers), wait (bufq) and leave. Capacities are
 * 4, 16, 64 and 256 KiB (less the header); anything larger is an exact allocation that is not recycled.
 * Not thread-safe: a process has one loop. Chunks never move. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct mem {
    uint32_t refs;
    uint32_t klass; /* recycler index, or MEM_EXACT */
    size_t cap;     /* bytes in data[] */
    char data[];
} mem;

enum { MEM_4K, MEM_16K, MEM_64K, MEM_256K, MEM_KLASSES, MEM_EXACT = MEM_KLASSES };

/* A chunk of the class with one reference. Aborts when memory is out. */
mem *mem_new(int klass);
/* A chunk that holds at least `n` bytes; NULL when memory is out (for sizes a peer decides). */
MUST_USE mem *mem_try_new(size_t n);
void mem_free(mem *m); /* called by mem_unref only */

static inline mem *mem_ref(mem *m)
{
    m->refs++;
    return m;
}

static inline void mem_unref(mem *m)
{
    if (m && --m->refs == 0) {
        mem_free(m);
    }
}

/* Gives the pages of chunks that were not needed since the last call back to the system; call it about once a second while mem_has_spare(). */
void mem_trim(void);
bool mem_has_spare(void);
/* Bytes in chunks now alive (not recycled). */
size_t mem_in_use(void);

#endif
