/* limit.c — GCRA over a set-associative table.
 *
 * A set is eight entries: eight hashes on one cache line, eight TATs on the next, then the keys.
 * There are no links, so nothing can dangle: an entry exists when its hash is not 0, and the hash
 * is stored last. A process killed inside loses the entry it was claiming and there is nothing to
 * repair. */
#include "shm/limit.h"

#include "base/err.h"
#include "base/hash.h"
#include "base/rand.h"
#include "shm/limit_key.h"
#include "shm/lock.h"
#include "shm/seg.h"

#include <string.h>

enum { LIMIT_VERSION = 1, LIMIT_WAYS = 8, LIMIT_MIN_SIZE = 4096 - 128 };

/* Clamps that keep every sum below 2^63: 31 days per unit, a million units. */
static const int64_t LIMIT_EMISSION_MAX = INT64_C(31) * 86400 * 1000000;
static const int64_t LIMIT_UNITS_MAX = 1000000;

typedef struct limit_set {
    uint64_t hash[LIMIT_WAYS]; /* 0 = free */
    int64_t tat_us[LIMIT_WAYS];
    limit_key key[LIMIT_WAYS];
} limit_set;

struct limit {
    lock lock;
    uint32_t sets;
    uint32_t unused;
    limit_secret secret;
    uint64_t evicted;
    uint8_t pad[64 - 24 - sizeof(limit_secret)];
    limit_set set[];
};

_Static_assert(sizeof(struct limit) == 64, "sets start on a cache line");
_Static_assert(sizeof(limit_set) == 512, "an entry is 64 bytes");

static void limit_repair(void *arg)
{
    (void)arg; /* see the head of this file */
}

int limit_open(seg *s, limit **out)
{
    *out = NULL;
    int fresh = seg_claim(s, SEG_LIMIT, LIMIT_VERSION);
    size_t size = seg_data_size(s);
    if (fresh < 0 || size < LIMIT_MIN_SIZE) {
        return ERR_INVALID;
    }
    limit *l = seg_data(s);
    if (fresh > 0) {
        size_t sets = (size - sizeof *l) / sizeof l->set[0];
        lock_init(&l->lock);
        l->sets = sets < UINT32_MAX ? (uint32_t)sets : UINT32_MAX;
        limit_key_secret(&l->secret);
        seg_ready(s, SEG_LIMIT, LIMIT_VERSION);
    }
    *out = l;
    return 0;
}

/* The set of a hash by multiplication: no division and any number of sets. */
static inline limit_set *limit_set_of(limit *l, uint64_t hash)
{
    return &l->set[((hash >> 32) * l->sets) >> 32];
}

/* Way of the key, or -1. */
static inline int limit_find(const limit *l, const limit_set *set, str key, uint64_t hash)
{
    for (int i = 0; i < LIMIT_WAYS; i++) {
        if (set->hash[i] == hash && limit_key_is(&l->secret, &set->key[i], key)) {
            return i;
        }
    }
    return -1;
}

/* Takes over the entry that is free or nearest to being paid back. */
static int limit_claim(limit *l, limit_set *set, str key, uint64_t hash, int64_t now_us)
{
    int best = 0;
    for (int i = 0; i < LIMIT_WAYS; i++) {
        if (set->hash[i] == 0) {
            best = i;
            break;
        }
        if (set->tat_us[i] < set->tat_us[best]) {
            best = i;
        }
    }
    if (set->hash[best] != 0 && set->tat_us[best] > now_us) {
        l->evicted++;
    }
    set->hash[best] = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    limit_key_set(&l->secret, &set->key[best], key);
    set->tat_us[best] = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    set->hash[best] = hash;
    return best;
}

static inline int64_t limit_clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* GCRA: `ahead` is how far the key has paid in advance before this request. Returns the verdict and
 * stores how far it is ahead afterwards in *after. */
static int limit_judge(const limit_ask *ask, int64_t ahead, int64_t *after, limit_result *out)
{
    int64_t emission = limit_clamp(ask->emission_us, 1, LIMIT_EMISSION_MAX);
    int64_t quota = (limit_clamp(ask->burst, 0, LIMIT_UNITS_MAX) + 1) * emission;
    int64_t price = limit_clamp(ask->cost, 0, LIMIT_UNITS_MAX + 2) * emission;
    int64_t excess = ahead + price - quota;
    bool refused = price > 0 && excess > 0;
    *after = refused ? ahead : ahead + price;
    int64_t left = quota - *after;
    out->ahead_us = ahead;
    out->reset_us = *after;
    out->remaining = left >= emission ? (uint32_t)(left / emission) : 0;
    out->delay_us = refused ? 0 : ahead;
    out->retry_us = !refused ? 0 : price > quota ? -1 : excess;
    if (refused) {
        return LIMIT_REFUSED;
    }
    return ahead > 0 ? LIMIT_DELAYED : LIMIT_ALLOWED;
}

int limit_rate(limit *l, str key, const limit_ask *ask, limit_result *out)
{
    uint64_t hash = limit_key_hash(&l->secret, key);
    int64_t after;
    lock_take(&l->lock, limit_repair, l);
    limit_set *set = limit_set_of(l, hash);
    int way = limit_find(l, set, key, hash);
    int64_t ahead = way >= 0 && set->tat_us[way] > ask->now_us ? set->tat_us[way] - ask->now_us : 0;
    int verdict = limit_judge(ask, ahead, &after, out);
    if (!ask->dry && after > ahead) {
        if (way < 0) {
            way = limit_claim(l, set, key, hash, ask->now_us);
        }
        set->tat_us[way] = ask->now_us + after;
    }
    lock_release(&l->lock);
    return verdict;
}

void limit_forget(limit *l, str key)
{
    uint64_t hash = limit_key_hash(&l->secret, key);
    lock_take(&l->lock, limit_repair, l);
    limit_set *set = limit_set_of(l, hash);
    int way = limit_find(l, set, key, hash);
    if (way >= 0) {
        set->hash[way] = 0;
    }
    lock_release(&l->lock);
}

void limit_get_status(limit *l, int64_t now_us, limit_status *out)
{
    /* No lock: a figure for a page, and the table may be large. */
    uint32_t live = 0;
    for (uint32_t i = 0; i < l->sets; i++) {
        for (int way = 0; way < LIMIT_WAYS; way++) {
            const limit_set *set = &l->set[i];
            live += __atomic_load_n(&set->hash[way], __ATOMIC_RELAXED) != 0 &&
                    __atomic_load_n(&set->tat_us[way], __ATOMIC_RELAXED) > now_us;
        }
    }
    *out = (limit_status){l->sets * LIMIT_WAYS, live, l->evicted, l->lock.repairs};
}
