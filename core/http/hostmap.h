/* hostmap.h — values by host name: exact names, *.example.com and .example.com (which takes example.com too), www.example.*. Names are compared
 * without regard to case; the longest pattern wins, exact before leading before trailing wildcards. Filled at load. */
#ifndef HTTP_HOSTMAP_H
#define HTTP_HOSTMAP_H

#include "base/map.h"
#include "base/pool.h"

typedef struct hostmap {
    pool *pool;
    map exact, head, tail;
} hostmap;

/* Lives in the pool. */
void hostmap_init(hostmap *m, pool *p);
/* 0; ERR_EXISTS: it is there already; ERR_INVALID: no name and no pattern. `wild` false: the text is taken as it stands. */
MUST_USE int hostmap_put(hostmap *m, str name, bool wild, void *value);
/* `name` in lower case. */
void *hostmap_get(const hostmap *m, str name);
/* A lower-case copy. */
str hostmap_lower(pool *p, str s);

#endif
