/* lock.h — the mutex of a shared structure: robust, between processes, user space only when
 * uncontended.
 *
 * A process that is killed while it holds the lock does not take it to the grave: the next taker
 * runs the structure's repair function (which must leave it valid, or empty) and goes on. A taker
 * killed inside repair makes the next one repair again. Rules: one lock per structure, never hold
 * two, never call out (Lua, I/O, log, fork) while holding one, never take one in a signal handler.
 * Not recursive. */
#ifndef SHM_LOCK_H
#define SHM_LOCK_H

#include "base/attr.h"

#include <stdint.h>

typedef struct lock {
    uint32_t word;    /* 0 = free, else the owner's thread id and the kernel's two flag bits */
    uint32_t repairs; /* owners that died inside, for status */
} lock;

typedef void lock_repair(void *arg);

/* In freshly formatted shared memory, before anyone else sees it. */
void lock_init(lock *l);
/* Waits as long as it takes: critical sections are short and owners that die are noticed by the
 * kernel. */
void lock_take(lock *l, lock_repair *repair, void *arg);
void lock_release(lock *l);

#endif
