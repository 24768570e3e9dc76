/* dict_core.c — see dict_core.h for the structure and the crash rule. */
#include "shm/dict_core.h"

#include "base/check.h"

#include <string.h>

static void dict_core_lru_push(dict *d, slab_ref ref, dict_node *node)
{
    node->newer = 0;
    node->older = d->lru_head;
    if (d->lru_head != 0) {
        dict_node_at(d, d->lru_head)->newer = ref;
    } else {
        d->lru_tail = ref;
    }
    d->lru_head = ref;
}

static void dict_core_lru_remove(dict *d, const dict_node *node)
{
    if (node->newer != 0) {
        dict_node_at(d, node->newer)->older = node->older;
    } else {
        d->lru_head = node->older;
    }
    if (node->older != 0) {
        dict_node_at(d, node->older)->newer = node->newer;
    } else {
        d->lru_tail = node->newer;
    }
}

void dict_core_reset(dict *d)
{
    memset(d->buckets, 0, ((size_t)d->mask + 1) * sizeof d->buckets[0]);
    d->lru_head = d->lru_tail = 0;
    d->entries = 0;
    slab_reset(dict_slab(d));
}

static bool dict_core_is_sound(dict *d, slab_ref ref, const dict_node *node, uint32_t bucket)
{
    size_t need = sizeof *node + node->key_n + (node->type == DICT_STRING ? node->n : 0);
    return (node->state & DICT_DIRTY) == 0 && node->type > DICT_NIL && node->type <= DICT_LIST &&
           (node->hash & d->mask) == bucket && need <= slab_usable(dict_slab(d), ref);
}

/* Follows the forward links, which are always whole, and derives the rest from them. */
static void dict_core_repair_list(dict *d, dict_node *node)
{
    slab_ref *link = &node->u.list.first;
    slab_ref prev = 0;
    node->n = 0;
    while (*link != 0 && slab_mark(dict_slab(d), *link)) {
        dict_item *item = dict_item_at(d, *link);
        item->prev = prev;
        prev = *link;
        link = &item->next;
        node->n++;
    }
    *link = 0;
    node->u.list.last = prev;
    if (node->n == 0) {
        node->state |= DICT_DOOMED;
    }
}

static void dict_core_mark_bucket(dict *d, uint32_t bucket)
{
    slab_ref *link = &d->buckets[bucket];
    while (*link != 0 && slab_mark(dict_slab(d), *link)) {
        dict_node *node = dict_node_at(d, *link);
        if (!dict_core_is_sound(d, *link, node, bucket)) {
            node->state |= DICT_DOOMED;
            node->type = DICT_NIL; /* what its value points to is not trusted */
        } else if (node->type == DICT_LIST) {
            dict_core_repair_list(d, node);
        }
        link = &node->next;
    }
    *link = 0;
}

static void dict_core_relink_bucket(dict *d, uint32_t bucket)
{
    slab_ref *link = &d->buckets[bucket];
    while (*link != 0) {
        slab_ref ref = *link;
        dict_node *node = dict_node_at(d, ref);
        if ((node->state & DICT_DOOMED) != 0) {
            dict_publish(link, node->next);
            slab_free(dict_slab(d), ref);
            continue;
        }
        dict_core_lru_push(d, ref, node);
        d->entries++;
        link = &node->next;
    }
}

COLD void dict_core_repair(void *arg)
{
    dict *d = arg;
    if (slab_check(dict_slab(d)) != 0) {
        dict_core_reset(d);
        return;
    }
    for (uint32_t i = 0; i <= d->mask; i++) {
        dict_core_mark_bucket(d, i);
    }
    slab_sweep(dict_slab(d));
    d->lru_head = d->lru_tail = 0;
    d->entries = 0;
    for (uint32_t i = 0; i <= d->mask; i++) {
        dict_core_relink_bucket(d, i);
    }
}

slab_ref dict_core_find(dict *d, str key, uint32_t hash)
{
    slab_ref ref = d->buckets[hash & d->mask];
    while (ref != 0) {
        const dict_node *node = dict_node_at(d, ref);
        if (node->hash == hash && node->key_n == key.n && memcmp(node->data, key.p, key.n) == 0) {
            return ref;
        }
        ref = node->next;
    }
    return 0;
}

void dict_core_touch(dict *d, slab_ref ref)
{
    if (d->lru_head != ref) {
        dict_node *node = dict_node_at(d, ref);
        dict_core_lru_remove(d, node);
        dict_core_lru_push(d, ref, node);
    }
}

static void dict_core_free_items(dict *d, const dict_node *node)
{
    slab_ref ref = node->u.list.first;
    while (ref != 0) {
        slab_ref next = dict_item_at(d, ref)->next;
        slab_free(dict_slab(d), ref);
        ref = next;
    }
}

void dict_core_remove(dict *d, slab_ref ref)
{
    dict_node *node = dict_node_at(d, ref);
    slab_ref *link = &d->buckets[node->hash & d->mask];
    while (*link != ref) {
        REQUIRE(*link != 0);
        link = &dict_node_at(d, *link)->next;
    }
    dict_publish(link, node->next);
    dict_core_lru_remove(d, node);
    d->entries--;
    if (node->type == DICT_LIST) {
        dict_core_free_items(d, node);
    }
    slab_free(dict_slab(d), ref);
}

void dict_core_reap(dict *d, int64_t now_ms)
{
    for (int i = 0; i < 2 && d->lru_tail != 0; i++) {
        if (!dict_is_expired(dict_node_at(d, d->lru_tail), now_ms)) {
            return;
        }
        dict_core_remove(d, d->lru_tail);
        d->expired++;
    }
}

/* Pushes the oldest entry out; false = there is none. */
static bool dict_core_evict(dict *d, int64_t now_ms, bool *forced)
{
    slab_ref ref = d->lru_tail;
    if (ref == 0) {
        return false;
    }
    if (dict_is_expired(dict_node_at(d, ref), now_ms)) {
        d->expired++;
    } else {
        d->evicted++;
        *forced = true;
    }
    dict_core_remove(d, ref);
    return true;
}

slab_ref dict_core_new(dict *d, str key, uint32_t hash, size_t extra, int64_t now_ms, bool *forced)
{
    size_t need = sizeof(dict_node) + key.n + extra;
    /* One block has one tag of overhead; what cannot fit an empty slab must not empty it. */
    if (need + 8 > slab_capacity(dict_slab(d))) {
        return 0;
    }
    slab_ref ref = slab_alloc(dict_slab(d), need);
    while (ref == 0 && forced != NULL && dict_core_evict(d, now_ms, forced)) {
        ref = slab_alloc(dict_slab(d), need);
    }
    if (ref != 0) {
        dict_node *node = dict_node_at(d, ref);
        memset(node, 0, sizeof *node);
        node->hash = hash;
        node->key_n = (uint16_t)key.n;
        memcpy(node->data, key.p, key.n);
    }
    return ref;
}

void dict_core_link(dict *d, slab_ref ref)
{
    dict_node *node = dict_node_at(d, ref);
    slab_ref *bucket = &d->buckets[node->hash & d->mask];
    node->next = *bucket;
    dict_publish(bucket, ref);
    dict_core_lru_push(d, ref, node);
    d->entries++;
}
