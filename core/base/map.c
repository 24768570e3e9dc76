/* map.c — linear probing over a power of two, at most three quarters full; removal shifts back, so
 * there are no tombstones and a lookup ends at the first free entry. */
#include "base/map.h"

#include "base/check.h"
#include "base/hash.h"

#include <stdlib.h>

struct map_entry {
    str key;
    void *value;
    uint32_t hash; /* never 0 in a used entry */
};

enum { MAP_FIRST_CAP = 16 };

static uint32_t hash_of(str key)
{
    uint64_t h = hash_bytes(key);
    uint32_t folded = (uint32_t)(h ^ h >> 32);
    return folded ? folded : 1;
}

void map_init(map *m)
{
    *m = (map){0};
}

void map_fini(map *m)
{
    free(m->v);
    map_init(m);
}

/* The key's entry, or the free one where it belongs. */
static struct map_entry *map_slot(const map *m, str key, uint32_t hash)
{
    uint32_t mask = m->cap - 1;
    uint32_t i = hash & mask;
    while (m->v[i].hash && !(m->v[i].hash == hash && str_eq(m->v[i].key, key))) {
        i = (i + 1) & mask;
    }
    return &m->v[i];
}

void *map_get(const map *m, str key)
{
    if (m->n == 0) {
        return NULL;
    }
    const struct map_entry *e = map_slot(m, key, hash_of(key));
    return e->hash ? e->value : NULL;
}

static void map_widen(map *m)
{
    map wider = {.cap = m->cap ? m->cap * 2 : MAP_FIRST_CAP, .n = m->n};
    wider.v = calloc(wider.cap, sizeof *wider.v);
    if (!wider.v) {
        fatal("out of memory for a map of %u entries", wider.cap);
    }
    for (uint32_t i = 0; i < m->cap; i++) {
        if (m->v[i].hash) {
            *map_slot(&wider, m->v[i].key, m->v[i].hash) = m->v[i];
        }
    }
    free(m->v);
    *m = wider;
}

void *map_put(map *m, str key, void *value)
{
    if (m->n >= m->cap / 4 * 3) {
        map_widen(m);
    }
    uint32_t hash = hash_of(key);
    struct map_entry *e = map_slot(m, key, hash);
    void *before = e->hash ? e->value : NULL;
    if (!e->hash) {
        m->n++;
        e->key = key;
        e->hash = hash;
    }
    e->value = value;
    return before;
}

void *map_remove(map *m, str key)
{
    if (m->n == 0) {
        return NULL;
    }
    struct map_entry *e = map_slot(m, key, hash_of(key));
    if (!e->hash) {
        return NULL;
    }
    void *value = e->value;
    uint32_t mask = m->cap - 1;
    uint32_t hole = (uint32_t)(e - m->v);
    /* An entry may move into the hole unless its home lies cyclically behind the hole. */
    for (uint32_t i = (hole + 1) & mask; m->v[i].hash; i = (i + 1) & mask) {
        uint32_t home = m->v[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->v[hole] = m->v[i];
            hole = i;
        }
    }
    m->v[hole] = (struct map_entry){0};
    m->n--;
    return value;
}

bool map_next(const map *m, uint32_t *at, str *key, void **value)
{
    while (*at < m->cap) {
        const struct map_entry *e = &m->v[(*at)++];
        if (e->hash) {
            *key = e->key;
            *value = e->value;
            return true;
        }
    }
    return false;
}
