/* dict_list.c — the dictionary's lists: entries whose value is a chain of items, each a block of
 * its own. */
#include "shm/dict.h"

#include "base/err.h"
#include "shm/dict_core.h"

#include <string.h>

static str dict_item_bytes(const dict_value *v)
{
    return v->type == DICT_NUMBER ? (str){(const char *)&v->num, sizeof v->num} : v->s;
}

static slab_ref dict_item_new(dict *d, const dict_value *v)
{
    str bytes = dict_item_bytes(v);
    slab_ref ref = slab_alloc(dict_slab(d), sizeof(dict_item) + bytes.n);
    if (ref != 0) {
        dict_item *item = dict_item_at(d, ref);
        *item = (dict_item){.n = (uint32_t)bytes.n, .type = (uint32_t)v->type};
        if (bytes.n > 0) {
            memcpy(item->data, bytes.p, bytes.n);
        }
    }
    return ref;
}

static void dict_item_link(dict *d, dict_node *node, slab_ref ref, bool left)
{
    dict_item *item = dict_item_at(d, ref);
    slab_ref neighbour = left ? node->u.list.first : node->u.list.last;
    if (left) {
        item->next = neighbour;
        dict_publish(&node->u.list.first, ref);
    } else {
        item->prev = neighbour;
        dict_publish(neighbour != 0 ? &dict_item_at(d, neighbour)->next : &node->u.list.first, ref);
        node->u.list.last = ref;
    }
    if (neighbour == 0) {
        node->u.list.last = ref;
    } else if (left) {
        dict_item_at(d, neighbour)->prev = ref;
    }
    node->n++;
}

/* A list entry for `key`, linked and empty, in place of an expired one; 0 = no room. */
static slab_ref dict_list_new(dict *d, str key, uint32_t hash, int64_t now_ms)
{
    slab_ref old = dict_core_find(d, key, hash);
    if (old != 0) {
        dict_core_remove(d, old);
    }
    slab_ref ref = dict_core_new(d, key, hash, 0, now_ms, NULL);
    if (ref != 0) {
        dict_node_at(d, ref)->type = DICT_LIST;
        dict_core_link(d, ref);
    }
    return ref;
}

static int dict_push_locked(dict *d, str key, const dict_value *v, int64_t now_ms, bool left)
{
    uint32_t hash = dict_core_hash(d, key);
    slab_ref ref = dict_core_find(d, key, hash);
    if (ref == 0 || dict_is_expired(dict_node_at(d, ref), now_ms)) {
        ref = dict_list_new(d, key, hash, now_ms);
    } else if (dict_node_at(d, ref)->type != DICT_LIST) {
        return ERR_INVALID;
    }
    if (ref == 0) {
        return ERR_MEM;
    }
    dict_node *node = dict_node_at(d, ref);
    slab_ref item = node->n < INT32_MAX ? dict_item_new(d, v) : 0;
    if (item == 0) {
        if (node->n == 0) {
            dict_core_remove(d, ref);
        }
        return ERR_MEM;
    }
    dict_item_link(d, node, item, left);
    dict_core_touch(d, ref);
    return (int)node->n;
}

static int dict_push(dict *d, str key, const dict_value *v, int64_t now_ms, bool left)
{
    if (!dict_is_key(key) || (v->type != DICT_NUMBER && v->type != DICT_STRING) ||
        (v->type == DICT_STRING && v->s.n > UINT32_MAX)) {
        return ERR_INVALID;
    }
    dict_core_lock(d);
    dict_core_reap(d, now_ms);
    int code = dict_push_locked(d, key, v, now_ms, left);
    dict_core_unlock(d);
    return code;
}

int dict_lpush(dict *d, str key, const dict_value *v, int64_t now_ms)
{
    return dict_push(d, key, v, now_ms, true);
}

int dict_rpush(dict *d, str key, const dict_value *v, int64_t now_ms)
{
    return dict_push(d, key, v, now_ms, false);
}

static int dict_item_read(const dict_item *item, dict_value *v)
{
    v->type = (enum dict_type)item->type;
    if (v->type == DICT_NUMBER) {
        memcpy(&v->num, item->data, sizeof v->num);
        return 0;
    }
    v->s = (str){NULL, item->n};
    if (item->n > v->cap) {
        return ERR_LIMIT;
    }
    if (item->n > 0) {
        memcpy(v->buf, item->data, item->n);
    }
    v->s.p = v->buf;
    return 0;
}

static void dict_item_unlink(dict *d, dict_node *node, slab_ref ref, bool left)
{
    dict_item *item = dict_item_at(d, ref);
    if (left) {
        dict_publish(&node->u.list.first, item->next);
        if (item->next != 0) {
            dict_item_at(d, item->next)->prev = 0;
        }
    } else {
        dict_publish(item->prev != 0 ? &dict_item_at(d, item->prev)->next : &node->u.list.first, 0);
        node->u.list.last = item->prev;
    }
    node->n--;
    slab_free(dict_slab(d), ref);
}

/* The living list of `key`: 0, ERR_NOT_FOUND or ERR_INVALID. */
static int dict_list_find(dict *d, str key, int64_t now_ms, slab_ref *out)
{
    slab_ref ref = dict_core_find(d, key, dict_core_hash(d, key));
    if (ref == 0 || dict_is_expired(dict_node_at(d, ref), now_ms)) {
        return ERR_NOT_FOUND;
    }
    *out = ref;
    return dict_node_at(d, ref)->type == DICT_LIST ? 0 : ERR_INVALID;
}

static int dict_pop_locked(dict *d, slab_ref ref, bool left, dict_value *v)
{
    dict_node *node = dict_node_at(d, ref);
    slab_ref item = left ? node->u.list.first : node->u.list.last;
    int code = dict_item_read(dict_item_at(d, item), v);
    if (code != 0) {
        return code;
    }
    if (node->n == 1) {
        dict_core_remove(d, ref);
    } else {
        dict_item_unlink(d, node, item, left);
        dict_core_touch(d, ref);
    }
    return 0;
}

static int dict_pop(dict *d, str key, int64_t now_ms, bool left, dict_value *v)
{
    v->type = DICT_NIL;
    v->flags = 0;
    v->stale = false;
    if (!dict_is_key(key)) {
        return ERR_INVALID;
    }
    slab_ref ref = 0;
    dict_core_lock(d);
    int code = dict_list_find(d, key, now_ms, &ref);
    if (code == 0) {
        code = dict_pop_locked(d, ref, left, v);
    }
    dict_core_unlock(d);
    return code;
}

int dict_lpop(dict *d, str key, int64_t now_ms, dict_value *v)
{
    return dict_pop(d, key, now_ms, true, v);
}

int dict_rpop(dict *d, str key, int64_t now_ms, dict_value *v)
{
    return dict_pop(d, key, now_ms, false, v);
}

int dict_llen(dict *d, str key, int64_t now_ms)
{
    if (!dict_is_key(key)) {
        return ERR_INVALID;
    }
    slab_ref ref = 0;
    dict_core_lock(d);
    int code = dict_list_find(d, key, now_ms, &ref);
    if (code == 0) {
        code = (int)dict_node_at(d, ref)->n;
    }
    dict_core_unlock(d);
    return code == ERR_NOT_FOUND ? 0 : code;
}
