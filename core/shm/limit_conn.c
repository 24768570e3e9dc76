/* limit_conn.c — concurrency: a hash table of keys in use, with one count per worker in each entry.
 *
 * Entries in use cannot be evicted, so the table chains over all its entries instead of using small
 * sets. The counts per worker are the truth; totals, chains and the free list are derived from them
 * and rebuilt by repair. */
#include "shm/limit.h"

#include "base/check.h"
#include "base/err.h"
#include "shm/limit_key.h"
#include "shm/lock.h"
#include "shm/seg.h"

#include <string.h>

enum { LIMIT_CONN_VERSION = 1, LIMIT_CONN_WORKERS_MAX = 256, LIMIT_CONN_ENTRIES_MIN = 16 };

/* References are index + 1; 0 = none. */
typedef struct limit_conn_entry {
    uint64_t hash;
    uint32_t next; /* in the chain, or in the free list */
    uint32_t total;
    limit_key key;
    uint32_t held[]; /* per worker */
} limit_conn_entry;

struct limit_conn {
    lock lock;
    uint32_t workers;
    uint32_t entries;
    uint32_t stride; /* bytes per entry */
    uint32_t mask;   /* buckets - 1 */
    uint32_t free;
    uint32_t unused;
    limit_secret secret;
    uint64_t entries_at; /* bytes from here */
    uint32_t buckets[];
};

static inline limit_conn_entry *limit_conn_at(limit_conn *l, uint32_t ref)
{
    return (limit_conn_entry *)(void *)((char *)l + l->entries_at + (size_t)(ref - 1) * l->stride);
}

static inline uint32_t *limit_conn_bucket(limit_conn *l, uint64_t hash)
{
    return &l->buckets[hash & l->mask];
}

/* Derives everything from the counts per worker. */
static void limit_conn_rebuild(void *arg)
{
    limit_conn *l = arg;
    memset(l->buckets, 0, ((size_t)l->mask + 1) * sizeof l->buckets[0]);
    l->free = 0;
    for (uint32_t ref = l->entries; ref > 0; ref--) {
        limit_conn_entry *e = limit_conn_at(l, ref);
        e->total = 0;
        for (uint32_t w = 0; w < l->workers; w++) {
            e->total += e->held[w];
        }
        uint32_t *link = e->total > 0 ? limit_conn_bucket(l, e->hash) : &l->free;
        e->next = *link;
        *link = ref;
    }
}

static void limit_conn_lock(limit_conn *l)
{
    lock_take(&l->lock, limit_conn_rebuild, l);
}

static int limit_conn_format(limit_conn *l, size_t size, uint32_t workers)
{
    size_t stride = (sizeof(limit_conn_entry) + workers * sizeof(uint32_t) + 63) / 64 * 64;
    size_t buckets = 16;
    while (buckets < size / stride && buckets < (size_t)1 << 28) {
        buckets *= 2;
    }
    size_t at = (sizeof *l + buckets * sizeof l->buckets[0] + 63) / 64 * 64;
    if (size < at + LIMIT_CONN_ENTRIES_MIN * stride) {
        return ERR_INVALID;
    }
    size_t entries = (size - at) / stride;
    lock_init(&l->lock);
    l->workers = workers;
    l->stride = (uint32_t)stride;
    l->entries = entries < (1U << 28) ? (uint32_t)entries : 1U << 28;
    l->mask = (uint32_t)buckets - 1;
    l->entries_at = at;
    limit_key_secret(&l->secret);
    memset((char *)l + at, 0, (size_t)l->entries * stride);
    limit_conn_rebuild(l);
    return 0;
}

int limit_conn_open(seg *s, uint32_t workers, limit_conn **out)
{
    *out = NULL;
    int fresh = seg_claim(s, SEG_LIMIT_CONN, LIMIT_CONN_VERSION);
    if (fresh < 0 || workers == 0 || workers > LIMIT_CONN_WORKERS_MAX) {
        return ERR_INVALID;
    }
    limit_conn *l = seg_data(s);
    if (fresh > 0) {
        int code = limit_conn_format(l, seg_data_size(s), workers);
        if (code != 0) {
            return code;
        }
        seg_ready(s, SEG_LIMIT_CONN, LIMIT_CONN_VERSION);
    } else if (l->workers != workers) {
        return ERR_INVALID;
    }
    *out = l;
    return 0;
}

int limit_conn_attach(seg *s, limit_conn **out)
{
    *out = NULL;
    if (seg_claim(s, SEG_LIMIT_CONN, LIMIT_CONN_VERSION) != 0) {
        return ERR_INVALID;
    }
    *out = seg_data(s);
    return 0;
}

static uint32_t limit_conn_find(limit_conn *l, str key, uint64_t hash)
{
    uint32_t ref = *limit_conn_bucket(l, hash);
    while (ref != 0) {
        const limit_conn_entry *e = limit_conn_at(l, ref);
        if (e->hash == hash && limit_key_is(&l->secret, &e->key, key)) {
            return ref;
        }
        ref = e->next;
    }
    return 0;
}

/* A free entry becomes the key's; 0 = all are in use. */
static uint32_t limit_conn_claim(limit_conn *l, str key, uint64_t hash)
{
    uint32_t ref = l->free;
    if (ref == 0) {
        return 0;
    }
    limit_conn_entry *e = limit_conn_at(l, ref);
    l->free = e->next;
    e->hash = hash;
    limit_key_set(&l->secret, &e->key, key);
    e->next = *limit_conn_bucket(l, hash);
    *limit_conn_bucket(l, hash) = ref;
    return ref;
}

int limit_conn_take(limit_conn *l, str key, uint32_t max, uint32_t worker, uint32_t *slot)
{
    REQUIRE(worker < l->workers);
    *slot = 0;
    if (max == 0) {
        return ERR_LIMIT;
    }
    uint64_t hash = limit_key_hash(&l->secret, key);
    int code = ERR_MEM;
    limit_conn_lock(l);
    uint32_t ref = limit_conn_find(l, key, hash);
    if (ref == 0) {
        ref = limit_conn_claim(l, key, hash);
    }
    if (ref != 0) {
        limit_conn_entry *e = limit_conn_at(l, ref);
        code = ERR_LIMIT;
        if (e->total < max && e->total < INT32_MAX) {
            e->held[worker]++;
            code = (int)++e->total;
            *slot = ref;
        }
    }
    lock_release(&l->lock);
    return code;
}

/* Unlinks an entry nobody holds any more. */
static void limit_conn_drop(limit_conn *l, uint32_t ref, limit_conn_entry *e)
{
    uint32_t *link = limit_conn_bucket(l, e->hash);
    while (*link != ref) {
        REQUIRE(*link != 0);
        link = &limit_conn_at(l, *link)->next;
    }
    *link = e->next;
    e->next = l->free;
    l->free = ref;
}

void limit_conn_release(limit_conn *l, uint32_t slot, uint32_t worker)
{
    REQUIRE(slot > 0 && slot <= l->entries && worker < l->workers);
    limit_conn_lock(l);
    limit_conn_entry *e = limit_conn_at(l, slot);
    REQUIRE(e->held[worker] > 0);
    e->held[worker]--;
    if (--e->total == 0) {
        limit_conn_drop(l, slot, e);
    }
    lock_release(&l->lock);
}

uint32_t limit_conn_count(limit_conn *l, str key)
{
    uint64_t hash = limit_key_hash(&l->secret, key);
    limit_conn_lock(l);
    uint32_t ref = limit_conn_find(l, key, hash);
    uint32_t total = ref != 0 ? limit_conn_at(l, ref)->total : 0;
    lock_release(&l->lock);
    return total;
}

void limit_conn_forget_worker(limit_conn *l, uint32_t worker)
{
    REQUIRE(worker < l->workers);
    limit_conn_lock(l);
    for (uint32_t ref = 1; ref <= l->entries; ref++) {
        limit_conn_at(l, ref)->held[worker] = 0;
    }
    limit_conn_rebuild(l);
    lock_release(&l->lock);
}
