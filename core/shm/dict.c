/* dict.c — the dictionary's operations on scalars, and its keys; lists are in dict_list.c. */
#include "shm/dict.h"

#include "base/err.h"
#include "base/rand.h"
#include "shm/dict_core.h"
#include "shm/seg.h"

#include <string.h>

enum { DICT_VERSION = 1, DICT_BYTES_PER_BUCKET = 128, DICT_EXPIRED_LONG_AGO = 1 };

enum dict_mode { DICT_MODE_SET, DICT_MODE_ADD, DICT_MODE_REPLACE };

typedef struct dict_put {
    enum dict_mode mode;
    bool safe; /* never evict */
    int64_t ttl_ms;
    int64_t now_ms;
} dict_put;

static int64_t dict_deadline(int64_t ttl_ms, int64_t now_ms)
{
    if (ttl_ms <= 0) {
        return 0;
    }
    return ttl_ms > INT64_MAX / 2 ? INT64_MAX : now_ms + ttl_ms;
}

static int dict_format(dict *d, size_t size)
{
    uint32_t buckets = 64;
    while (buckets < UINT32_C(1) << 28 && (size_t)buckets * 2 * DICT_BYTES_PER_BUCKET <= size) {
        buckets *= 2;
    }
    size_t at = (sizeof *d + buckets * sizeof d->buckets[0] + 63) / 64 * 64;
    memset(d, 0, sizeof *d);
    lock_init(&d->lock);
    d->mask = buckets - 1;
    d->slab_at = at;
    d->capacity = size;
    uint64_t secret[2];
    rand_secure(secret, sizeof secret);
    d->k0 = secret[0];
    d->k1 = secret[1];
    memset(d->buckets, 0, buckets * sizeof d->buckets[0]);
    return slab_init(dict_slab(d), size - at);
}

int dict_open(seg *s, dict **out)
{
    *out = NULL;
    int fresh = seg_claim(s, SEG_DICT, DICT_VERSION);
    if (fresh < 0 || seg_data_size(s) < DICT_MIN_SIZE) {
        return ERR_INVALID;
    }
    dict *d = seg_data(s);
    if (fresh > 0) {
        int code = dict_format(d, seg_data_size(s));
        if (code != 0) {
            return code;
        }
        seg_ready(s, SEG_DICT, DICT_VERSION);
    }
    *out = d;
    return 0;
}

/* The live entry of `key`, or 0. */
static inline slab_ref dict_live(dict *d, str key, uint32_t hash, int64_t now_ms)
{
    slab_ref ref = dict_core_find(d, key, hash);
    return ref != 0 && !dict_is_expired(dict_node_at(d, ref), now_ms) ? ref : 0;
}

static int dict_read(const dict_node *node, dict_value *v)
{
    v->type = (enum dict_type)node->type;
    v->flags = node->flags;
    switch (v->type) {
    case DICT_NUMBER:
        v->num = node->u.num;
        return 0;
    case DICT_BOOLEAN:
        v->boolean = node->n != 0;
        return 0;
    case DICT_STRING:
        v->s = (str){NULL, node->n};
        if (node->n > v->cap) {
            return ERR_LIMIT;
        }
        if (node->n > 0) {
            memcpy(v->buf, node->data + node->key_n, node->n);
        }
        v->s.p = v->buf;
        return 0;
    case DICT_LIST:
    case DICT_NIL:
        break;
    }
    return ERR_INVALID;
}

static int dict_fetch(dict *d, str key, int64_t now_ms, bool stale, dict_value *v)
{
    v->type = DICT_NIL;
    v->flags = 0;
    v->stale = false;
    if (!dict_is_key(key)) {
        return ERR_INVALID;
    }
    uint32_t hash = dict_core_hash(d, key);
    int code = ERR_NOT_FOUND;
    dict_core_lock(d);
    slab_ref ref = dict_core_find(d, key, hash);
    if (ref != 0) {
        const dict_node *node = dict_node_at(d, ref);
        bool expired = dict_is_expired(node, now_ms);
        if (!expired || stale) {
            v->stale = expired;
            code = dict_read(node, v);
            dict_core_touch(d, ref);
        }
    }
    dict_core_unlock(d);
    return code;
}

int dict_get(dict *d, str key, int64_t now_ms, dict_value *v)
{
    return dict_fetch(d, key, now_ms, false, v);
}

int dict_get_stale(dict *d, str key, int64_t now_ms, dict_value *v)
{
    return dict_fetch(d, key, now_ms, true, v);
}

static size_t dict_value_bytes(const dict_value *v)
{
    return v->type == DICT_STRING ? v->s.n : 0;
}

static void dict_fill(dict_node *node, const dict_value *v, int64_t expires_ms)
{
    node->expires_ms = expires_ms;
    node->flags = v->flags;
    node->type = (uint8_t)v->type;
    if (v->type == DICT_NUMBER) {
        node->u.num = v->num;
    } else if (v->type == DICT_BOOLEAN) {
        node->n = v->boolean;
    } else {
        node->n = (uint32_t)v->s.n;
        if (v->s.n > 0) {
            memcpy(node->data + node->key_n, v->s.p, v->s.n);
        }
    }
}

/* May the new value take the old one's place? Not when that would waste more than half of the
 * block. */
static bool dict_fits(dict *d, slab_ref ref, const dict_node *node, const dict_value *v)
{
    size_t need = sizeof *node + node->key_n + dict_value_bytes(v);
    size_t room = slab_usable(dict_slab(d), ref);
    return node->type != DICT_LIST && need <= room && (room <= 256 || need >= room / 2);
}

static void dict_overwrite(dict_node *node, const dict_value *v, int64_t expires_ms)
{
    node->state |= DICT_DIRTY;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    dict_fill(node, v, expires_ms);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    node->state &= (uint8_t)~DICT_DIRTY;
}

/* Stores under `key`; `old` is its entry so far, or 0. The old value goes only once there is room
 * for the new one, or when the oldest entries have to go anyway. */
static int dict_store(dict *d, str key, uint32_t hash, const dict_value *v, const dict_put *how)
{
    slab_ref old = dict_core_find(d, key, hash);
    int64_t expires_ms = dict_deadline(how->ttl_ms, how->now_ms);
    if (old != 0 && dict_fits(d, old, dict_node_at(d, old), v)) {
        dict_overwrite(dict_node_at(d, old), v, expires_ms);
        dict_core_touch(d, old);
        return 0;
    }
    bool forced = false;
    size_t extra = dict_value_bytes(v);
    slab_ref ref = dict_core_new(d, key, hash, extra, how->now_ms, NULL);
    if (old != 0 && (ref != 0 || !how->safe)) {
        dict_core_remove(d, old);
    }
    if (ref == 0 && !how->safe) {
        ref = dict_core_new(d, key, hash, extra, how->now_ms, &forced);
    }
    if (ref == 0) {
        return ERR_MEM;
    }
    dict_fill(dict_node_at(d, ref), v, expires_ms);
    dict_core_link(d, ref);
    return forced ? DICT_FORCED : 0;
}

static int dict_write(dict *d, str key, const dict_value *v, const dict_put *how)
{
    if (!dict_is_key(key) || v->type == DICT_LIST || dict_value_bytes(v) > UINT32_MAX) {
        return ERR_INVALID;
    }
    uint32_t hash = dict_core_hash(d, key);
    int code = 0;
    dict_core_lock(d);
    dict_core_reap(d, how->now_ms);
    bool live = how->mode != DICT_MODE_SET && dict_live(d, key, hash, how->now_ms) != 0;
    if (how->mode == DICT_MODE_ADD && live) {
        code = ERR_EXISTS;
    } else if (how->mode == DICT_MODE_REPLACE && !live) {
        code = ERR_NOT_FOUND;
    } else if (v->type == DICT_NIL) {
        slab_ref ref = dict_core_find(d, key, hash);
        if (ref != 0) {
            dict_core_remove(d, ref);
        }
    } else {
        code = dict_store(d, key, hash, v, how);
    }
    dict_core_unlock(d);
    return code;
}

int dict_set(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms)
{
    return dict_write(d, key, v, &(dict_put){DICT_MODE_SET, false, ttl_ms, now_ms});
}

int dict_safe_set(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms)
{
    return dict_write(d, key, v, &(dict_put){DICT_MODE_SET, true, ttl_ms, now_ms});
}

int dict_add(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms)
{
    return dict_write(d, key, v, &(dict_put){DICT_MODE_ADD, false, ttl_ms, now_ms});
}

int dict_safe_add(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms)
{
    return dict_write(d, key, v, &(dict_put){DICT_MODE_ADD, true, ttl_ms, now_ms});
}

int dict_replace(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms)
{
    return dict_write(d, key, v, &(dict_put){DICT_MODE_REPLACE, false, ttl_ms, now_ms});
}

void dict_delete(dict *d, str key)
{
    if (!dict_is_key(key)) {
        return;
    }
    uint32_t hash = dict_core_hash(d, key);
    dict_core_lock(d);
    slab_ref ref = dict_core_find(d, key, hash);
    if (ref != 0) {
        dict_core_remove(d, ref);
    }
    dict_core_unlock(d);
}

/* Adds to a living number; one store, so a killed process leaves the old or the new value. */
static int dict_bump(dict *d, slab_ref ref, double by, double *out)
{
    dict_node *node = dict_node_at(d, ref);
    if (node->type != DICT_NUMBER) {
        return ERR_INVALID;
    }
    node->u.num += by;
    *out = node->u.num;
    dict_core_touch(d, ref);
    return 0;
}

int dict_incr(dict *d, str key, double by, int64_t now_ms, double *out)
{
    if (!dict_is_key(key)) {
        return ERR_INVALID;
    }
    uint32_t hash = dict_core_hash(d, key);
    dict_core_lock(d);
    slab_ref ref = dict_live(d, key, hash, now_ms);
    int code = ref != 0 ? dict_bump(d, ref, by, out) : ERR_NOT_FOUND;
    dict_core_unlock(d);
    return code;
}

int dict_incr_or_init(dict *d, str key, const dict_incr_init *how, int64_t now_ms, double *out)
{
    if (!dict_is_key(key)) {
        return ERR_INVALID;
    }
    uint32_t hash = dict_core_hash(d, key);
    int code;
    dict_core_lock(d);
    slab_ref ref = dict_live(d, key, hash, now_ms);
    if (ref != 0) {
        code = dict_bump(d, ref, how->by, out);
    } else {
        dict_value v = {.type = DICT_NUMBER, .num = how->init + how->by};
        dict_core_reap(d, now_ms);
        code = dict_store(d, key, hash, &v, &(dict_put){DICT_MODE_SET, false, how->ttl_ms, now_ms});
        *out = v.num;
    }
    dict_core_unlock(d);
    return code;
}

int dict_expire(dict *d, str key, int64_t ttl_ms, int64_t now_ms)
{
    int code = ERR_NOT_FOUND;
    if (!dict_is_key(key)) {
        return code;
    }
    uint32_t hash = dict_core_hash(d, key);
    dict_core_lock(d);
    slab_ref ref = dict_live(d, key, hash, now_ms);
    if (ref != 0) {
        dict_node_at(d, ref)->expires_ms = dict_deadline(ttl_ms, now_ms);
        code = 0;
    }
    dict_core_unlock(d);
    return code;
}

int dict_ttl(dict *d, str key, int64_t now_ms, int64_t *ttl_ms)
{
    int code = ERR_NOT_FOUND;
    if (!dict_is_key(key)) {
        return code;
    }
    uint32_t hash = dict_core_hash(d, key);
    dict_core_lock(d);
    slab_ref ref = dict_live(d, key, hash, now_ms);
    if (ref != 0) {
        int64_t expires_ms = dict_node_at(d, ref)->expires_ms;
        *ttl_ms = expires_ms == 0 ? 0 : expires_ms - now_ms;
        code = 0;
    }
    dict_core_unlock(d);
    return code;
}

void dict_flush_all(dict *d)
{
    dict_core_lock(d);
    for (slab_ref ref = d->lru_head; ref != 0; ref = dict_node_at(d, ref)->older) {
        dict_node_at(d, ref)->expires_ms = DICT_EXPIRED_LONG_AGO;
    }
    dict_core_unlock(d);
}

uint32_t dict_flush_expired(dict *d, uint32_t max, int64_t now_ms)
{
    uint32_t freed = 0;
    dict_core_lock(d);
    slab_ref ref = d->lru_tail;
    while (ref != 0 && (max == 0 || freed < max)) {
        const dict_node *node = dict_node_at(d, ref);
        slab_ref newer = node->newer;
        if (dict_is_expired(node, now_ms)) {
            dict_core_remove(d, ref);
            freed++;
        }
        ref = newer;
    }
    d->expired += freed;
    dict_core_unlock(d);
    return freed;
}

/* Packs one key; counts only, when it does not fit. */
static void dict_keys_put(dict_keys *keys, str key)
{
    uint16_t n = (uint16_t)key.n;
    size_t need = sizeof n + key.n;
    if (keys->need == keys->used && need <= keys->cap - keys->used) {
        memcpy(keys->buf + keys->used, &n, sizeof n);
        memcpy(keys->buf + keys->used + sizeof n, key.p, key.n);
        keys->used += need;
        keys->n++;
    }
    keys->need += need;
}

void dict_get_keys(dict *d, uint32_t max, int64_t now_ms, dict_keys *keys)
{
    keys->used = keys->need = 0;
    keys->n = 0;
    uint32_t seen = 0;
    dict_core_lock(d);
    slab_ref ref = d->lru_head;
    while (ref != 0 && (max == 0 || seen < max)) {
        const dict_node *node = dict_node_at(d, ref);
        if (!dict_is_expired(node, now_ms)) {
            dict_keys_put(keys, dict_node_key(node));
            seen++;
        }
        ref = node->older;
    }
    dict_core_unlock(d);
}

bool dict_keys_next(const dict_keys *keys, size_t *at, str *key)
{
    uint16_t n;
    if (*at + sizeof n > keys->used) {
        return false;
    }
    memcpy(&n, keys->buf + *at, sizeof n);
    *key = (str){keys->buf + *at + sizeof n, n};
    *at += sizeof n + n;
    return true;
}

size_t dict_capacity(const dict *d)
{
    return d->capacity;
}

size_t dict_free_space(dict *d)
{
    dict_core_lock(d);
    size_t n = slab_free_space(dict_slab(d));
    dict_core_unlock(d);
    return n;
}

void dict_get_status(dict *d, dict_status *out)
{
    dict_core_lock(d);
    *out = (dict_status){d->entries, d->evicted, d->expired, d->lock.repairs};
    dict_core_unlock(d);
}
