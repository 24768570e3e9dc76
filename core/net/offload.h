/* offload.h — work that would hold the loop for milliseconds (password hashes), on one thread beside it.
 *
 * The work sees only its own struct, which both sides never touch at the same time: it belongs to the thread from offload_start until `done`, which runs on
 * the loop. It cannot be stopped half-way: who gives up waiting marks it as nobody's and lets `done` free it. The queue is bounded. */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include "base/attr.h"
#include "net/loop.h"

enum { OFFLOAD_MOST = 64 };

typedef struct offload offload;
struct offload {
    list node;
    void (*run)(offload *o);  /* on the thread */
    void (*done)(offload *o); /* on the loop; may free it; wakes jobs, runs nothing */
};

/* 0; ERR_LIMIT: OFFLOAD_MOST are waiting; ERR_MEM: there can be no thread. */
MUST_USE int offload_start(loop *l, offload *o);

#endif
