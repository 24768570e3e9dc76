/* slab.h — allocator inside a segment: size classes, immediate merging, offsets instead of
 * pointers.
 *
 * Two-level segregated fit: free blocks hang in lists by power of two and eighth, so alloc and free
 * cost the same at any fill level and evicting neighbours gives back one larger block
 * (page-per-class slabs would stay split by class for ever). Every block has 8 bytes of overhead;
 * granularity 16.
 *
 * No lock of its own: the structure that owns the slab holds its lock. A reference is a `slab_ref`:
 * an offset in units of 16 bytes from the slab, 0 = none, so 30 bits of size reach 16 GiB.
 *
 * After a dead owner the chain of block sizes is intact (each split and merge is published by one
 * store) but lists are not: slab_check(), slab_mark() what is still reachable, slab_sweep(). */
#ifndef SHM_SLAB_H
#define SHM_SLAB_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t slab_ref;
typedef struct slab slab;

enum { SLAB_UNIT = 16 };

/* Formats `size` bytes at `at` (64-byte aligned, shared) as an empty slab; ERR_INVALID when too
 * small or too large. */
MUST_USE int slab_init(slab *at, size_t size);
/* Empty again, whatever state it is in. */
void slab_reset(slab *s);

/* At least `n` bytes, 8-byte aligned, contents undefined; 0 = no room. */
MUST_USE slab_ref slab_alloc(slab *s, size_t n);
void slab_free(slab *s, slab_ref ref);
/* Usable bytes of an allocated block (>= what was asked). */
size_t slab_usable(const slab *s, slab_ref ref);

static inline void *slab_ptr(slab *s, slab_ref ref)
{
    return (char *)s + (size_t)ref * SLAB_UNIT;
}

/* Bytes for blocks in all, and of them free (overhead counted as used). */
size_t slab_capacity(const slab *s);
size_t slab_free_space(const slab *s);

/* Repair, in this order. slab_check: 0 and all marks cleared, or ERR_INVALID: slab_reset is all
 * that is left. */
MUST_USE int slab_check(slab *s);
/* True the first time for an allocated block; false for anything else (a broken or repeated
 * reference). */
bool slab_mark(slab *s, slab_ref ref);
/* Frees what was not marked, rebuilds the lists. */
void slab_sweep(slab *s);

#endif
