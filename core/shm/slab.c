/* slab.c — two-level segregated fit in units of 16 bytes.
 *
 * A block of n units whose payload starts at unit u covers bytes [16u - 8, 16(u + n) - 8): its
 * 8-byte tag sits before the payload, so payloads are 16-byte aligned and a reference is just u.
 * The tag has the block's size with the used and mark bits, and the size of the block before it. A
 * free block's payload holds its list links. The last tag is a used block of 0 units.
 *
 * Crash rule: walking sizes from the first block must reach the last tag at every instruction. A
 * new tag is complete before the one store that makes it part of the chain. `prev` and the lists
 * may be wrong then; slab_sweep() computes them anew. Only the compiler's order matters: the dead
 * process's stores happened up to one instruction and no further. */
#include "shm/slab.h"

#include "base/check.h"
#include "base/err.h"

#include <string.h>

enum {
    SLAB_ROWS = 30,
    SLAB_COLS = 8,
    SLAB_USED = 1,
    SLAB_MARK = 2,
    SLAB_SHIFT = 2,
    SLAB_SPLIT_MIN = 4, /* units: a smaller rest stays with the block */
    SLAB_TRIES = 8,     /* blocks looked at in the class that may or may not fit */
};

struct slab {
    uint32_t first; /* unit of the first block */
    uint32_t end;   /* unit of the last tag */
    uint32_t free_units;
    uint32_t rows;
    uint8_t cols[32];
    uint32_t heads[SLAB_ROWS][SLAB_COLS];
};

typedef struct slab_tag {
    uint32_t prev; /* units of the block before; 0 for the first */
    uint32_t bits; /* units << 2 | mark | used */
} slab_tag;

typedef struct slab_links {
    slab_ref next, prev;
} slab_links;

typedef struct slab_class {
    uint32_t row, col;
} slab_class;

static inline slab_tag *slab_tag_of(const slab *s, slab_ref ref)
{
    return (slab_tag *)slab_ptr((slab *)(uintptr_t)s, ref) - 1;
}

static inline slab_links *slab_links_of(slab *s, slab_ref ref)
{
    return slab_ptr(s, ref);
}

static inline uint32_t slab_units(const slab_tag *tag)
{
    return tag->bits >> SLAB_SHIFT;
}

static inline void slab_publish(slab_tag *tag, uint32_t bits)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&tag->bits, bits, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline uint32_t slab_log2(uint32_t units)
{
    return 31 - (uint32_t)__builtin_clz(units);
}

/* The class whose blocks are at least as large as its lower bound: where a block of `units` is
 * kept. */
static inline slab_class slab_class_of(uint32_t units)
{
    if (units < SLAB_COLS) {
        return (slab_class){0, units};
    }
    uint32_t log = slab_log2(units);
    return (slab_class){log - 2, (units >> (log - 3)) & (SLAB_COLS - 1)};
}

/* The first class all of whose blocks have `units`. */
static inline slab_class slab_class_above(uint32_t units)
{
    return slab_class_of(units < SLAB_COLS ? units : units + (1U << (slab_log2(units) - 3)) - 1);
}

static void slab_link(slab *s, slab_ref ref, uint32_t units)
{
    slab_class c = slab_class_of(units);
    slab_ref head = s->heads[c.row][c.col];
    slab_links *links = slab_links_of(s, ref);
    links->prev = 0;
    links->next = head;
    if (head != 0) {
        slab_links_of(s, head)->prev = ref;
    }
    s->heads[c.row][c.col] = ref;
    s->cols[c.row] |= (uint8_t)(1U << c.col);
    s->rows |= 1U << c.row;
    s->free_units += units;
}

static void slab_unlink(slab *s, slab_ref ref, uint32_t units)
{
    const slab_links *links = slab_links_of(s, ref);
    s->free_units -= units;
    if (links->next != 0) {
        slab_links_of(s, links->next)->prev = links->prev;
    }
    if (links->prev != 0) {
        slab_links_of(s, links->prev)->next = links->next;
        return;
    }
    slab_class c = slab_class_of(units);
    s->heads[c.row][c.col] = links->next;
    if (links->next == 0) {
        s->cols[c.row] &= (uint8_t) ~(1U << c.col);
        if (s->cols[c.row] == 0) {
            s->rows &= ~(1U << c.row);
        }
    }
}

static void slab_clear_lists(slab *s)
{
    s->free_units = 0;
    s->rows = 0;
    memset(s->cols, 0, sizeof s->cols);
    memset(s->heads, 0, sizeof s->heads);
}

int slab_init(slab *at, size_t size)
{
    uint32_t first = (uint32_t)((sizeof *at + sizeof(slab_tag) + SLAB_UNIT - 1) / SLAB_UNIT);
    size_t units = size / SLAB_UNIT;
    if (units < (size_t)first + SLAB_SPLIT_MIN || units > UINT32_MAX >> SLAB_SHIFT) {
        return ERR_INVALID;
    }
    at->first = first;
    at->end = (uint32_t)units;
    slab_reset(at);
    return 0;
}

void slab_reset(slab *s)
{
    uint32_t units = s->end - s->first;
    slab_clear_lists(s);
    *slab_tag_of(s, s->end) = (slab_tag){units, SLAB_USED};
    slab_tag_of(s, s->first)->prev = 0;
    slab_publish(slab_tag_of(s, s->first), units << SLAB_SHIFT);
    slab_link(s, s->first, units);
}

/* A free block of at least `units`, still linked; 0 = none. */
static slab_ref slab_find(slab *s, uint32_t units)
{
    slab_class c = slab_class_above(units);
    uint32_t cols = c.row < SLAB_ROWS ? s->cols[c.row] & (~0U << c.col) : 0;
    if (cols == 0) {
        uint32_t rows = c.row < SLAB_ROWS ? s->rows & (~1U << c.row) : 0;
        c.row = rows != 0 ? (uint32_t)__builtin_ctz(rows) : 0;
        cols = rows != 0 ? s->cols[c.row] : 0;
    }
    if (cols != 0) {
        return s->heads[c.row][__builtin_ctz(cols)];
    }
    /* Nothing surely fits: some of our own class may. */
    c = slab_class_of(units);
    slab_ref ref = s->heads[c.row][c.col];
    for (int i = 0; ref != 0 && i < SLAB_TRIES; i++) {
        if (slab_units(slab_tag_of(s, ref)) >= units) {
            return ref;
        }
        ref = slab_links_of(s, ref)->next;
    }
    return 0;
}

/* Cuts an unlinked block to `units`; the rest becomes a free block. Returns the block's new size.
 */
static uint32_t slab_split(slab *s, slab_ref ref, uint32_t units)
{
    slab_tag *tag = slab_tag_of(s, ref);
    uint32_t rest = slab_units(tag) - units;
    if (rest < SLAB_SPLIT_MIN) {
        return slab_units(tag);
    }
    *slab_tag_of(s, ref + units) = (slab_tag){units, rest << SLAB_SHIFT};
    slab_publish(tag, units << SLAB_SHIFT);
    slab_tag_of(s, ref + units + rest)->prev = rest;
    slab_link(s, ref + units, rest);
    return units;
}

slab_ref slab_alloc(slab *s, size_t n)
{
    size_t wanted = (n + sizeof(slab_tag) + SLAB_UNIT - 1) / SLAB_UNIT;
    if (n > (size_t)s->end * SLAB_UNIT || wanted > s->free_units) {
        return 0;
    }
    slab_ref ref = slab_find(s, (uint32_t)wanted);
    if (ref == 0) {
        return 0;
    }
    slab_tag *tag = slab_tag_of(s, ref);
    slab_unlink(s, ref, slab_units(tag));
    uint32_t units = slab_split(s, ref, (uint32_t)wanted);
    slab_publish(tag, units << SLAB_SHIFT | SLAB_USED);
    return ref;
}

void slab_free(slab *s, slab_ref ref)
{
    REQUIRE(ref >= s->first && ref < s->end);
    slab_tag *tag = slab_tag_of(s, ref);
    REQUIRE((tag->bits & SLAB_USED) != 0);
    uint32_t units = slab_units(tag);
    slab_tag *next = slab_tag_of(s, ref + units);
    if ((next->bits & SLAB_USED) == 0) {
        slab_unlink(s, ref + units, slab_units(next));
        units += slab_units(next);
    }
    slab_tag *before = slab_tag_of(s, ref - tag->prev);
    if (tag->prev != 0 && (before->bits & SLAB_USED) == 0) {
        ref -= tag->prev;
        slab_unlink(s, ref, slab_units(before));
        units += slab_units(before);
        tag = before;
    }
    slab_publish(tag, units << SLAB_SHIFT);
    slab_tag_of(s, ref + units)->prev = units;
    slab_link(s, ref, units);
}

size_t slab_usable(const slab *s, slab_ref ref)
{
    return (size_t)slab_units(slab_tag_of(s, ref)) * SLAB_UNIT - sizeof(slab_tag);
}

size_t slab_capacity(const slab *s)
{
    return (size_t)(s->end - s->first) * SLAB_UNIT;
}

size_t slab_free_space(const slab *s)
{
    return (size_t)s->free_units * SLAB_UNIT;
}

int slab_check(slab *s)
{
    slab_ref ref = s->first;
    while (ref < s->end) {
        slab_tag *tag = slab_tag_of(s, ref);
        uint32_t units = slab_units(tag);
        if (units == 0 || units > s->end - ref) {
            return ERR_INVALID;
        }
        tag->bits &= ~(uint32_t)SLAB_MARK;
        ref += units;
    }
    return slab_tag_of(s, s->end)->bits == SLAB_USED ? 0 : ERR_INVALID;
}

bool slab_mark(slab *s, slab_ref ref)
{
    if (ref < s->first || ref >= s->end) {
        return false;
    }
    slab_tag *tag = slab_tag_of(s, ref);
    if ((tag->bits & (SLAB_USED | SLAB_MARK)) != SLAB_USED || slab_units(tag) > s->end - ref) {
        return false;
    }
    tag->bits |= SLAB_MARK;
    return true;
}

void slab_sweep(slab *s)
{
    slab_clear_lists(s);
    uint32_t prev = 0;
    slab_ref ref = s->first;
    while (ref < s->end) {
        slab_tag *tag = slab_tag_of(s, ref);
        bool used = (tag->bits & SLAB_MARK) != 0;
        uint32_t units = slab_units(tag);
        while (!used && ref + units < s->end &&
               (slab_tag_of(s, ref + units)->bits & SLAB_MARK) == 0) {
            units += slab_units(slab_tag_of(s, ref + units));
        }
        tag->prev = prev;
        slab_publish(tag, units << SLAB_SHIFT | (used ? SLAB_USED : 0));
        if (!used) {
            slab_link(s, ref, units);
        }
        prev = units;
        ref += units;
    }
    slab_tag_of(s, s->end)->prev = prev;
}
