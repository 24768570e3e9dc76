/* stats.h — global counters: one block per worker, one writer each, summed by readers without
 * locks.
 *
 * The list is stats.def. Counting is one or two instructions on memory no other worker writes. A
 * process that never called stats_start() counts into a private block, so every unit works without
 * a segment. Blocks outlive workers: a replacement goes on where the dead one stopped, its gauges
 * start at 0. */
#ifndef SHM_STATS_H
#define SHM_STATS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

struct metrics;

enum stats_id {
#define S(id, name, labels, type, doc) STAT_##id,
#include "shm/stats.def"
    STAT_ERRORS, /* STAT_ERRORS + index: errors by code; index 0 unused */
    STAT_COUNT = STAT_ERRORS + ERR_INDEX_COUNT
};

enum stats_hist_id {
#define H(id, name, doc) STAT_HIST_##id,
#include "shm/stats.def"
    STAT_HIST_COUNT
};

/* Bucket i counts durations < 2^(i + STATS_HIST_SHIFT) us: 128 us, 256 us, … 33.6 s; the last is
 * +Inf. */
enum { STATS_HIST_SHIFT = 7, STATS_HIST_BUCKETS = 20, STATS_SLOTS_MAX = 258 };

typedef struct stats_hist {
    uint64_t sum_us;
    uint64_t buckets[STATS_HIST_BUCKETS];
} stats_hist;

typedef struct stats_block {
    uint64_t cells[STAT_COUNT];
    stats_hist hists[STAT_HIST_COUNT];
} __attribute__((aligned(128))) stats_block;

typedef struct stats stats;
typedef struct seg seg;

/* Where this process counts. Set by stats_start, never NULL. */
extern stats_block *stats_mine;

/* Formats or attaches. `slots`: board slots, plus one for the master and one for the helper if they
 * count. */
MUST_USE int stats_open(seg *s, uint32_t slots, stats **out);
/* Bytes of segment that `slots` need. */
size_t stats_bytes(uint32_t slots);
/* From now on this process counts into `slot`; gauges of the slot start at 0. */
void stats_start(stats *st, uint32_t slot);
/* A worker is gone: its gauges no longer count. Only the master, once the process has ended. */
void stats_forget(stats *st, uint32_t slot);

static inline void stats_add(enum stats_id id, uint64_t n)
{
    /* One writer: a plain add; the atomics only forbid tearing for readers. */
    uint64_t *cell = &stats_mine->cells[id];
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void stats_sub(enum stats_id id, uint64_t n)
{
    stats_add(id, 0 - n);
}

static inline void stats_set(enum stats_id id, uint64_t n)
{
    __atomic_store_n(&stats_mine->cells[id], n, __ATOMIC_RELAXED);
}

/* Counts a negative ERR_*; anything else is ignored. */
static inline void stats_error(int code)
{
    if (code < 0 && code > -(int)ERR_INDEX_COUNT) {
        stats_add((enum stats_id)((int)STAT_ERRORS - code), 1);
    }
}

/* Counts a response by the hundred of its status. */
static inline void stats_response(int status)
{
    if (status >= 100 && status < 600) {
        stats_add((enum stats_id)((int)STAT_RESPONSES_1XX + status / 100 - 1), 1);
    }
}

void stats_duration(enum stats_hist_id id, int64_t us);

/* Sum over all slots; a gauge that is negative for a moment reads as 0. */
uint64_t stats_sum(const stats *st, enum stats_id id);
/* The same over the slots this process counts among; its own figure when it counts alone. */
uint64_t stats_total(enum stats_id id);
void stats_sum_hist(const stats *st, enum stats_hist_id id, stats_hist *out);
/* One slot's own figure. */
uint64_t stats_of(const stats *st, uint32_t slot, enum stats_id id);

/* What an id is, for status pages: name without prefix, labels as in Prometheus text, doc. */
typedef struct stats_desc {
    const char *name;
    const char *labels;
    const char *doc;
    bool is_gauge;
} stats_desc;
void stats_describe(enum stats_id id, stats_desc *out);

/* Receives the text in pieces (borrowed until return); 0 to go on, negative ERR_* to stop. Pointer
 * and length, not a str: LuaJIT cannot make callbacks that take structs. */
typedef int stats_append(void *arg, const char *p, size_t n);
/* Prometheus text format 0.0.4 of all global figures and, when `m` is not NULL, of the policies'
 * metrics. 0 or what `append` returned. */
MUST_USE int stats_render(const stats *st, struct metrics *m, stats_append *append, void *arg);

#endif
