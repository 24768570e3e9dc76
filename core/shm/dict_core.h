/* dict_core.h — inside of the dictionary: entries, hash chains, LRU list, making room, repair.
 * Private to dict*.c.
 *
 * Crash rule (who holds the lock may be killed at any instruction): chains of entries and of list
 * items are singly linked by one publishing store, so walking them is always possible; everything
 * else (LRU, back links, counts, free lists) is derived and rebuilt by dict_core_repair(). Bytes
 * that change in place are guarded by DICT_DIRTY: such an entry is dropped. */
#ifndef SHM_DICT_CORE_H
#define SHM_DICT_CORE_H

#include "base/hash.h"
#include "shm/dict.h"
#include "shm/lock.h"
#include "shm/slab.h"

enum { DICT_DIRTY = 1, DICT_DOOMED = 2 };

typedef struct dict_node {
    slab_ref next;  /* in the hash chain */
    slab_ref newer; /* towards lru_head */
    slab_ref older;
    uint32_t hash;
    int64_t expires_ms; /* 0 = never */
    union {
        double num;
        struct {
            slab_ref first, last;
        } list;
    } u;
    uint32_t flags; /* the user's */
    uint32_t n;     /* bytes of a string, items of a list, 0 or 1 of a boolean */
    uint16_t key_n;
    uint8_t type;  /* enum dict_type */
    uint8_t state; /* DICT_DIRTY | DICT_DOOMED */
    char data[];   /* key, then string */
} dict_node;

typedef struct dict_item {
    slab_ref next, prev;
    uint32_t n;    /* bytes */
    uint32_t type; /* DICT_NUMBER: data holds a double; DICT_STRING */
    char data[];
} dict_item;

struct dict {
    lock lock;
    slab_ref lru_head, lru_tail;
    uint32_t mask; /* buckets - 1 */
    uint32_t unused;
    uint64_t slab_at; /* bytes from here */
    uint64_t k0, k1;
    uint64_t capacity;
    uint64_t entries, evicted, expired;
    slab_ref buckets[];
};

static inline slab *dict_slab(dict *d)
{
    return (slab *)(void *)((char *)d + d->slab_at);
}

static inline dict_node *dict_node_at(dict *d, slab_ref ref)
{
    return slab_ptr(dict_slab(d), ref);
}

static inline dict_item *dict_item_at(dict *d, slab_ref ref)
{
    return slab_ptr(dict_slab(d), ref);
}

/* The one store that makes an entry or item reachable or unreachable. */
static inline void dict_publish(slab_ref *link, slab_ref ref)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(link, ref, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline bool dict_is_expired(const dict_node *node, int64_t now_ms)
{
    return node->expires_ms != 0 && node->expires_ms <= now_ms;
}

static inline str dict_node_key(const dict_node *node)
{
    return (str){node->data, node->key_n};
}

static inline bool dict_is_key(str key)
{
    return key.n > 0 && key.n <= DICT_KEY_MAX;
}

/* For lock_take. */
void dict_core_repair(void *arg);

static inline void dict_core_lock(dict *d)
{
    lock_take(&d->lock, dict_core_repair, d);
}

static inline void dict_core_unlock(dict *d)
{
    lock_release(&d->lock);
}

/* Taken before the lock: the longest part of most operations. */
static inline uint32_t dict_core_hash(const dict *d, str key)
{
    return (uint32_t)hash_keyed(key, d->k0, d->k1);
}

/* The entry, expired or not; 0 = none. */
slab_ref dict_core_find(dict *d, str key, uint32_t hash);
/* Most recently used from now on. */
void dict_core_touch(dict *d, slab_ref ref);
/* Unlinks and frees an entry with all it holds. */
void dict_core_remove(dict *d, slab_ref ref);
/* A new entry with its key, not linked yet, with `extra` bytes behind the key. 0 = no room.
 * `forced` NULL: nothing is evicted; else unexpired entries may be and *forced says so. */
MUST_USE slab_ref dict_core_new(dict *d, str key, uint32_t hash, size_t extra, int64_t now_ms,
                                bool *forced);
/* Makes a complete entry reachable. */
void dict_core_link(dict *d, slab_ref ref);
/* Frees up to two expired entries from the old end: every writer pays a little for the rest. */
void dict_core_reap(dict *d, int64_t now_ms);
/* Empties the dictionary, whatever state it is in. */
void dict_core_reset(dict *d);

#endif
