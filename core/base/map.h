/* map.h — string → pointer hash map, open addressing, filled at load, read per request (hosts, names).
 * Keys are borrowed: they must outlive the map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

typedef struct map {
    struct map_entry *v;
    uint32_t n, cap;
} map;

void map_init(map *m);
void map_fini(map *m);
void *map_get(const map *m, str key);
/* Replaces; returns the previous value or NULL. */
void *map_put(map *m, str key, void *value);
void *map_remove(map *m, str key);
/* Iterates: start with *at = 0; false at the end. */
bool map_next(const map *m, uint32_t *at, str *key, void **value);

#endif
