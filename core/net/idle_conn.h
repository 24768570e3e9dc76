/* idle_conn.h — the body of what idle.h parks: for those who own such a connection. */
#ifndef NET_IDLE_CONN_H
#define NET_IDLE_CONN_H

#include "net/idle.h"
#include "net/stream.h"

/* A stream that can be parked. Embedded in what uses it (lease, cosocket); memory comes from idle_conn_new and moves along with the stream. */
struct idle_conn {
    stream s;
    list node;         /* in its key's list */
    timer age;
    struct idle_pool *pool;
    uint32_t requests; /* exchanges done on it */
    int64_t born_ms;
    int64_t parked_ms;
    uint64_t tag;      /* the owner's: generation of TLS settings... part of what makes it reusable */
    job watch;
    bool (*idle_read)(idle_conn *c); /* takes what comes while it is parked; false: drop it. NULL: nothing may come */
    void *owner_data;  /* freed by owner_free when the connection closes */
    void (*owner_free)(void *owner_data);
};

#endif
