/* board.h — the scoreboard: what every worker is doing, readable by master and admin without locks.
 *
 * A slot belongs to one worker process at a time; its index is the worker's index in stats, metrics
 * and limit_conn too. The master claims and frees slots; the worker alone writes its figures. The
 * hook fields are the watchdog's: written before Lua is entered, cleared after. The quarantine list
 * is written by the master alone and read by workers. */
#ifndef SHM_BOARD_H
#define SHM_BOARD_H

#include "base/str.h"

#include <stdbool.h>

typedef struct board board;
typedef struct seg seg;

enum { BOARD_POLICY_MAX = 48, BOARD_SLOTS_MAX = 256, BOARD_QUARANTINE_MAX = 64 };

enum board_state { BOARD_FREE, BOARD_STARTING, BOARD_RUNNING, BOARD_DRAINING, BOARD_DEAD };

/* A policy's name, NUL-padded to its full width so that publishing it is a fixed-size copy. */
typedef struct board_policy {
    char name[BOARD_POLICY_MAX];
} board_policy;

typedef struct board_hook {
    int64_t
        since_ms; /* monotonic; 0 = not in Lua. Written last on entry: it publishes the others */
    uint64_t generation;
    uint32_t phase; /* flow's number of the phase */
    uint32_t unused;
    board_policy policy;
} board_hook;

typedef struct board_slot {
    int32_t pid;
    uint32_t state; /* enum board_state */
    uint64_t generation;
    int64_t since_ms; /* monotonic: when the process was started */
    uint64_t requests;
    uint32_t connections;
    uint32_t restarts; /* how often this slot's process was replaced unasked */
    uint32_t unused[6];
    board_hook hook; /* on cache lines of its own: written at every hook */
    uint64_t unused2[7];
} board_slot;

MUST_USE int board_open(seg *s, uint32_t slots, board **out);
size_t board_bytes(uint32_t slots);
uint32_t board_slots(const board *b);
/* The slot itself, shared; REQUIRE index < board_slots(). */
board_slot *board_slot_at(board *b, uint32_t index);
/* Master, before fork: index of a free slot, now STARTING with pid 0; ERR_LIMIT when all are in
 * use. */
MUST_USE int board_claim(board *b, int64_t now_ms);
/* Master: the process has ended and all its accounts are settled. */
void board_free(board *b, uint32_t index);

static inline void board_set_state(board_slot *s, enum board_state state)
{
    __atomic_store_n(&s->state, (uint32_t)state, __ATOMIC_RELEASE);
}

/* Worker: figures for the status page; once per loop turn is enough. */
static inline void board_update(board_slot *s, uint64_t generation, uint64_t requests,
                                uint32_t connections)
{
    __atomic_store_n(&s->generation, generation, __ATOMIC_RELAXED);
    __atomic_store_n(&s->requests, requests, __ATOMIC_RELAXED);
    __atomic_store_n(&s->connections, connections, __ATOMIC_RELAXED);
}

/* Cuts the name to fit. */
void board_policy_set(board_policy *p, str name);

/* Worker, before it enters Lua. Nested or following policies of one phase: call again for each. */
static inline void board_hook_enter(board_slot *s, const board_policy *policy, uint64_t generation,
                                    uint32_t phase, int64_t now_ms)
{
    board_hook *h = &s->hook;
    __atomic_store_n(&h->since_ms, 0, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    h->generation = generation;
    h->phase = phase;
    h->policy = *policy;
    __atomic_store_n(&h->since_ms, now_ms, __ATOMIC_RELEASE);
}

static inline void board_hook_leave(board_slot *s)
{
    __atomic_store_n(&s->hook.since_ms, 0, __ATOMIC_RELEASE);
}

/* Master: true when the slot has been in one hook for `limit_ms` or more; *out is a consistent
 * copy. */
MUST_USE bool board_hook_stuck(const board_slot *s, int64_t now_ms, int64_t limit_ms,
                               board_hook *out);

typedef struct board_quarantine {
    board_policy policy;
    uint64_t generation; /* in which it hung; a newer generation clears it */
    int64_t since_ms;
    uint32_t phase;
    uint32_t kills; /* workers it has cost */
} board_quarantine;

/* Changes with every change of the list. A worker compares it (one load) before it trusts what it
 * remembered about its policies. */
uint32_t board_quarantine_serial(const board *b);
/* Copy of the list, at most BOARD_QUARANTINE_MAX; returns the number, or ERR_AGAIN while it is
 * being written: keep what you know and look again next time. */
MUST_USE int board_quarantine_list(const board *b, board_quarantine *out);
/* Is this policy on the list for this generation? */
bool board_is_quarantined(const board *b, str policy, uint64_t generation);
/* Master only. Same policy and generation: kills + 1. A full list drops its oldest entry. */
void board_quarantine_add(board *b, const board_hook *hook, int64_t now_ms);
/* Master only: removes entries of generations < `generation` (after a commit), or all with
 * UINT64_MAX. */
void board_quarantine_clear(board *b, uint64_t generation);

#endif
