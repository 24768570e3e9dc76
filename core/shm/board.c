/* board.c — slots and quarantine. Each field has one writer at a time; readers take consistent
 * copies by looking twice at the word that is written first and last. */
#include "shm/board.h"

#include "base/check.h"
#include "base/err.h"
#include "shm/seg.h"

#include <string.h>

enum { BOARD_VERSION = 1, BOARD_TRIES = 8 };

struct board {
    uint32_t slots;
    uint32_t serial; /* odd while the list is being written */
    uint32_t quarantined;
    uint32_t unused;
    board_quarantine list[BOARD_QUARANTINE_MAX];
    uint64_t pad[6];
    board_slot slot[];
};

_Static_assert(sizeof(board_slot) == 192, "a slot is three cache lines");
_Static_assert(sizeof(struct board) % 64 == 0, "slots start on a cache line");

size_t board_bytes(uint32_t slots)
{
    return sizeof(board) + slots * sizeof(board_slot);
}

int board_open(seg *s, uint32_t slots, board **out)
{
    *out = NULL;
    int fresh = seg_claim(s, SEG_BOARD, BOARD_VERSION);
    if (fresh < 0 || slots == 0 || slots > BOARD_SLOTS_MAX ||
        seg_data_size(s) < board_bytes(slots)) {
        return ERR_INVALID;
    }
    board *b = seg_data(s);
    if (fresh > 0) {
        b->slots = slots;
        seg_ready(s, SEG_BOARD, BOARD_VERSION);
    } else if (b->slots != slots) {
        return ERR_INVALID;
    }
    *out = b;
    return 0;
}

uint32_t board_slots(const board *b)
{
    return b->slots;
}

board_slot *board_slot_at(board *b, uint32_t index)
{
    REQUIRE(index < b->slots);
    return &b->slot[index];
}

int board_claim(board *b, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->slots; i++) {
        board_slot *s = &b->slot[i];
        if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == BOARD_FREE) {
            memset(s, 0, sizeof *s);
            s->since_ms = now_ms;
            board_set_state(s, BOARD_STARTING);
            return (int)i;
        }
    }
    return ERR_LIMIT;
}

void board_free(board *b, uint32_t index)
{
    board_slot *s = board_slot_at(b, index);
    board_hook_leave(s);
    s->pid = 0;
    board_set_state(s, BOARD_FREE);
}

void board_policy_set(board_policy *p, str name)
{
    size_t n = name.n < sizeof p->name ? name.n : sizeof p->name - 1;
    memset(p, 0, sizeof *p);
    memcpy(p->name, name.p, n);
}

bool board_hook_stuck(const board_slot *s, int64_t now_ms, int64_t limit_ms, board_hook *out)
{
    int64_t since = __atomic_load_n(&s->hook.since_ms, __ATOMIC_ACQUIRE);
    if (since == 0 || now_ms - since < limit_ms) {
        return false;
    }
    memcpy(out, &s->hook, sizeof *out);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    out->since_ms = since;
    out->policy.name[BOARD_POLICY_MAX - 1] = '\0';
    /* It left, or entered another hook, while we copied: not stuck. */
    return __atomic_load_n(&s->hook.since_ms, __ATOMIC_RELAXED) == since;
}

uint32_t board_quarantine_serial(const board *b)
{
    return __atomic_load_n(&b->serial, __ATOMIC_ACQUIRE);
}

int board_quarantine_list(const board *b, board_quarantine *out)
{
    for (int i = 0; i < BOARD_TRIES; i++) {
        uint32_t before = board_quarantine_serial(b);
        uint32_t n = __atomic_load_n(&b->quarantined, __ATOMIC_RELAXED);
        n = n < BOARD_QUARANTINE_MAX ? n : BOARD_QUARANTINE_MAX;
        memcpy(out, b->list, n * sizeof *out);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((before & 1) == 0 && __atomic_load_n(&b->serial, __ATOMIC_RELAXED) == before) {
            return (int)n;
        }
    }
    return ERR_AGAIN;
}

static bool board_policy_is(const board_policy *p, str name)
{
    size_t n = name.n < sizeof p->name ? name.n : sizeof p->name - 1;
    return strnlen(p->name, sizeof p->name) == n && memcmp(p->name, name.p, n) == 0;
}

bool board_is_quarantined(const board *b, str policy, uint64_t generation)
{
    board_quarantine list[BOARD_QUARANTINE_MAX];
    int n = board_quarantine_list(b, list);
    for (int i = 0; i < n; i++) {
        if (list[i].generation == generation && board_policy_is(&list[i].policy, policy)) {
            return true;
        }
    }
    return false;
}

/* An odd number stays odd when an earlier master died between begin and end. */
static void board_write_begin(board *b)
{
    __atomic_store_n(&b->serial, b->serial | 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void board_write_end(board *b)
{
    __atomic_store_n(&b->serial, b->serial + 1, __ATOMIC_RELEASE);
}

void board_quarantine_add(board *b, const board_hook *hook, int64_t now_ms)
{
    board_write_begin(b);
    uint32_t at = 0;
    while (at < b->quarantined &&
           (b->list[at].generation != hook->generation ||
            memcmp(&b->list[at].policy, &hook->policy, sizeof hook->policy) != 0)) {
        at++;
    }
    if (at == BOARD_QUARANTINE_MAX) {
        memmove(&b->list[0], &b->list[1], (BOARD_QUARANTINE_MAX - 1) * sizeof b->list[0]);
        b->quarantined = --at;
    }
    board_quarantine *q = &b->list[at];
    if (at == b->quarantined) {
        memset(q, 0, sizeof *q);
        q->policy = hook->policy;
        q->generation = hook->generation;
        b->quarantined++;
    }
    q->phase = hook->phase;
    q->since_ms = now_ms;
    q->kills++;
    board_write_end(b);
}

void board_quarantine_clear(board *b, uint64_t generation)
{
    board_write_begin(b);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->quarantined; i++) {
        if (b->list[i].generation >= generation && generation != UINT64_MAX) {
            b->list[kept++] = b->list[i];
        }
    }
    b->quarantined = kept;
    board_write_end(b);
}
