/* slice.h — a part of a chunk, of static memory or of a file; and bufq, a queue of slices.
 *
 * A slice owns one reference of its chunk or file. bufq functions that say "takes" move that reference in. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/str.h"

#include <stdint.h>

typedef struct mem mem;

/* An open file shared by slices; closed with the last reference. */
typedef struct fileref {
    uint32_t refs;
    int fd;
} fileref;

fileref *fileref_new(int fd); /* takes fd */
void fileref_unref(fileref *f);

typedef struct slice {
    const char *p; /* NULL for a file slice */
    size_t n;      /* bytes */
    mem *mem;      /* owner of p, or NULL: static or otherwise outliving memory */
    fileref *file; /* when p is NULL */
    int64_t off;   /* position in the file */
} slice;

enum { BUFQ_FEW = 1 };

typedef struct bufq {
    slice *v;            /* ring of `cap` (a power of two); NULL: the slices are in few[] */
    uint32_t head;
    uint32_t n;
    uint32_t cap;        /* BUFQ_FEW while v is NULL */
    size_t bytes;        /* sum of the slices */
    slice few[BUFQ_FEW]; /* a head with a small body behind it: no allocation */
} bufq;

static inline void bufq_init(bufq *q)
{
    q->v = NULL;
    q->head = q->n = 0;
    q->cap = BUFQ_FEW;
    q->bytes = 0;
}
/* Drops all slices and the ring. */
void bufq_reset(bufq *q);
static inline void bufq_fini(bufq *q)
{
    if (q->n || q->v) {
        bufq_reset(q);
    }
}
/* Drops all slices, keeps the ring. */
void bufq_clear(bufq *q);
/* Frees the ring when the queue is empty (idle connections). */
void bufq_shrink(bufq *q);
/* Takes the slice's reference. Adjacent slices of one chunk are merged. */
void bufq_push(bufq *q, slice s);
void bufq_push_front(bufq *q, slice s);
/* A slice of `m` (adds a reference). */
void bufq_push_mem(bufq *q, mem *m, const char *p, size_t n);
/* Bytes that outlive the queue. */
void bufq_push_static(bufq *q, str s);
/* Copies into chunks of the queue's own (appends to the last chunk when it is ours alone and has room). */
void bufq_push_copy(bufq *q, str s);
void bufq_push_file(bufq *q, fileref *f, int64_t off, size_t n); /* adds a reference */
/* Moves everything from `from` to the end of `to`. */
void bufq_move(bufq *to, bufq *from);
/* Moves at most `max` bytes; splits a slice when needed. Returns bytes moved. */
size_t bufq_move_n(bufq *to, bufq *from, size_t max);
/* The same for a queue that outlives whose memory it is: bytes that nobody holds a reference of are copied. */
size_t bufq_keep_n(bufq *to, bufq *from, size_t max);
/* Drops the first `n` bytes. */
void bufq_drop(bufq *q, size_t n);
/* Copies the memory slices' bytes (at most cap) to buf without consuming; returns bytes. File slices are read with pread. */
size_t bufq_peek(const bufq *q, char *buf, size_t cap);

static inline bool bufq_is_empty(const bufq *q)
{
    return q->n == 0;
}

static inline slice *bufq_at(const bufq *q, uint32_t i)
{
    slice *ring = q->v ? q->v : (slice *)(uintptr_t)q->few;
    return &ring[(q->head + i) & (q->cap - 1)];
}

#endif
