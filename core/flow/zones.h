/* zones.h — the shared tables that limits count in: made by the master, found by name in the
 * workers, alive across reloads while name and size stay. */
#ifndef FLOW_ZONES_H
#define FLOW_ZONES_H

#include "base/str.h"

typedef struct conf conf;
typedef struct limit limit;
typedef struct limit_conn limit_conn;
typedef struct seg seg;
struct conf_zone;

typedef struct zone {
    const struct conf_zone *c;
    limit *rates;      /* one of the two, by kind; both NULL: not bound yet */
    limit_conn *conns;
} zone;

/* Master: makes or finds every zone of the configuration; fn (NULL: nobody) is told of each. */
MUST_USE int zones_make(const conf *c, uint32_t workers, void (*fn)(void *arg, seg *s), void *arg,
                        char *err, size_t errcap);
/* Master: a worker is gone; what it held in any table of connections is released. */
void zones_forget_worker(uint32_t worker);
/* Worker: counts as number `worker` from now on. */
void zones_enter_worker(uint32_t worker);
uint32_t zones_worker(void);
/* Finds the segment of a zone. 0, or ERR_NOT_FOUND. */
MUST_USE int zone_bind(zone *z);

#endif
