/* seg.h — shared memory segments: named, fixed-size memfd mappings.
 *
 * The master opens them before it forks; workers inherit the mappings. A later generation may add
 * one: the master sends seg_fd() over the channel and the worker calls seg_adopt(). Opening a name
 * again with the same size finds the living segment, so state survives a reload; another size makes
 * a new segment beside the old one, which stays until its last reference is closed.
 *
 * Inside a segment there are offsets and fixed-width fields only: two processes may map it at
 * different addresses, and any of them may be killed between two instructions.
 *
 * A handle (`seg`) belongs to the process; not thread-safe. A forked child owns a copy of every
 * reference. */
#ifndef SHM_SEG_H
#define SHM_SEG_H

#include "base/str.h"

#include <stdint.h>

typedef struct seg seg;

enum { SEG_NAME_MAX = 63, SEG_KIND_NONE = 0 };

/* What a segment holds; written by the structure that formats it. */
enum seg_kind {
    SEG_DICT = 1,
    SEG_LIMIT,
    SEG_LIMIT_CONN,
    SEG_STATS,
    SEG_METRICS,
    SEG_BOARD,
    SEG_PEERS,
    SEG_OTHER = 100 /* first value free for structures outside shm/ */
};

/* Finds (returns 0) or creates (returns 1, all zero) the segment; `size` in bytes, rounded up to
 * pages. *out holds one reference. ERR_INVALID (name empty, too long or with control bytes; size
 * 0), ERR_MEM, ERR_IO. */
MUST_USE int seg_open(str name, size_t size, seg **out);
/* Maps a descriptor received from the master; takes `fd` whatever happens. A segment this process
 * knows already (same identity) gets another reference instead of a second mapping. `size` is
 * seg_size() of the sender. ERR_INVALID when the content is not a segment of that name and size,
 * ERR_MEM, ERR_IO. */
MUST_USE int seg_adopt(str name, int fd, size_t size, seg **out);
seg *seg_ref(seg *s);
/* Drops a reference; the last one unmaps. NULL is ignored. */
void seg_close(seg *s);

/* The newest segment of that name, borrowed, or NULL. */
seg *seg_find(str name);
/* Every segment of this process, oldest first. `fn` must not open or close any. */
void seg_each(void (*fn)(void *arg, seg *s), void *arg);

str seg_name(const seg *s);
/* Whole size in bytes, header included: what seg_adopt wants. */
size_t seg_size(const seg *s);
/* Borrowed descriptor (close-on-exec), to be passed to another process. */
int seg_fd(const seg *s);
/* 64-byte aligned space for the structure, zero at creation. */
void *seg_data(const seg *s);
size_t seg_data_size(const seg *s);
/* What seg_ready() recorded; SEG_KIND_NONE before. */
uint32_t seg_kind_of(const seg *s);

/* For structures: may this segment hold (kind, version)? 1 = it is blank: format it, then
 * seg_ready(); 0 = it holds exactly that; ERR_INVALID = it holds something else. */
MUST_USE int seg_claim(seg *s, uint32_t kind, uint32_t version);
/* Publishes a formatted segment. A process killed before this leaves a blank segment, never a half
 * one. */
void seg_ready(seg *s, uint32_t kind, uint32_t version);

#endif
