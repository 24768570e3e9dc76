/* lock.h — the mutex of a shared structure: robust, between processes, user space only when uncontended.
 *
 * A process that is killed while it holds the lock does not take it to the grave: the next taker runs the
 * structure's repair function (which must leave it valid, or empty) and goes on. A taker killed inside
 * repair makes the next one repair again. Rules: one lock per structure, never hold two, never call out
 * (Lua, I/O, log) while holding one. Not recursive. */
#ifndef SHM_LOCK_H
#define SHM_LOCK_H

#include "base/attr.h"

#include <pthread.h>
#include <stdint.h>

typedef struct lock {
    pthread_mutex_t mutex;
    uint32_t repairs; /* owners that died inside, for status */
} lock;

typedef void lock_repair(void *arg);

/* In freshly formatted shared memory, before anyone else sees it. */
void lock_init(lock *l);
/* Waits as long as it takes: critical sections are short and owners that die are noticed by the kernel. */
void lock_take(lock *l, lock_repair *repair, void *arg);
void lock_release(lock *l);

#endif
