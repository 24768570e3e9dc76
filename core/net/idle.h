/* idle.h — idle connections kept open for reuse, keyed by an opaque identity (pointer or hash); serves upstream pools and cosockets alike.
 *
 * LIFO per key. The peer closing or sending anything while idle drops the connection. Bounded per key, oldest out first. Each connection
 * ages out after its timeout. */
#ifndef NET_IDLE_H
#define NET_IDLE_H

#include "base/list.h"

#include <stdint.h>

typedef struct idle_conn idle_conn; /* idle_conn.h */
typedef struct loop loop;

/* One per key, embedded by its owner (a peer; a cosocket pool entry). */
typedef struct idle_pool {
    list conns;        /* most recently parked first */
    uint32_t n, max;
    int64_t timeout_ms;
    uint32_t *total;   /* also counts n for the owner, over several keys; NULL: nobody asks */
} idle_pool;

void idle_pool_init(idle_pool *p, uint32_t max, int64_t timeout_ms);
/* Closes everything parked. */
void idle_pool_fini(idle_pool *p);
/* The most recently parked live connection, or NULL. It is the caller's now: set s.user before waiting. No system call. */
idle_conn *idle_take(idle_pool *p);
/* Parks; closes it (and frees) when the pool is full (the oldest goes) or the stream is not clean (bytes pending either way). */
void idle_park(loop *l, idle_pool *p, idle_conn *c);
idle_conn *idle_conn_new(void);
/* Closes and frees. */
void idle_conn_free(idle_conn *c);

#endif
