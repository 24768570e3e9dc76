/* peers.c — see peers.h. */
#include "shm/peers.h"

#include "base/err.h"
#include "shm/board.h"
#include "shm/lock.h"
#include "shm/seg.h"

#include <string.h>

enum { PEERS_VERSION = 1, PEERS_MIN = 4, LEASE_MS = 5000, WORKER_BITS = 64 };

struct peers {
    lock lock;
    uint32_t workers, cells;
    uint32_t cell_size; /* state and the workers' parts of in_flight */
    uint32_t leader;    /* slot + 1; 0: none */
    int64_t leader_ms;  /* last renewal */
    uint64_t unused[4];
    unsigned char at[]; /* the cells */
};

static uint32_t this_worker;

static uint32_t size_of_cell(uint32_t workers)
{
    size_t size = sizeof(peer_state) + workers * sizeof(uint32_t);
    return (uint32_t)((size + 63) / 64 * 64);
}

static peer_state *cell_at(peers *t, uint32_t i)
{
    return (peer_state *)(void *)(t->at + (size_t)i * t->cell_size);
}

static uint32_t *held_of(peer_state *s)
{
    return (uint32_t *)(s + 1);
}

int peers_open(seg *s, uint32_t workers, peers **out)
{
    int rc = seg_claim(s, SEG_PEERS, PEERS_VERSION);
    peers *t = seg_data(s);
    if (rc == 1) {
        uint32_t size = size_of_cell(workers);
        size_t room = seg_data_size(s);
        if (workers == 0 || workers > BOARD_SLOTS_MAX || room < sizeof *t + PEERS_MIN * size) {
            return ERR_INVALID;
        }
        memset(t, 0, sizeof *t);
        lock_init(&t->lock);
        t->workers = workers;
        t->cell_size = size;
        t->cells = (uint32_t)((room - sizeof *t) / size);
        seg_ready(s, SEG_PEERS, PEERS_VERSION);
    }
    *out = t;
    return rc < 0 ? rc : t->workers == workers ? 0 : ERR_INVALID;
}

int peers_attach(seg *s, peers **out)
{
    *out = seg_data(s);
    return seg_claim(s, SEG_PEERS, PEERS_VERSION) == 0 ? 0 : ERR_INVALID;
}

void peers_enter_worker(uint32_t worker)
{
    this_worker = worker;
}

/* What a dead owner may have left half done is a number that is off by one. */
static void repair(void *arg)
{
    (void)arg;
}

void peers_lock(peers *t)
{
    lock_take(&t->lock, repair, t);
}

void peers_unlock(peers *t)
{
    lock_release(&t->lock);
}

static bool has_users(const peer_state *s)
{
    return (s->users[0] | s->users[1] | s->users[2] | s->users[3]) != 0;
}

static peer_state *find(peers *t, uint64_t key)
{
    peer_state *spare = NULL;
    for (uint32_t i = 0; i < t->cells; i++) {
        peer_state *s = cell_at(t, i);
        if (s->key == key) {
            return s;
        }
        if (!s->key) {
            spare = spare && !spare->key ? spare : s;
            break; /* cells fill from the front: the key is not further on */
        }
        if (!spare && !has_users(s)) {
            spare = s;
        }
    }
    if (spare) {
        memset(spare, 0, t->cell_size);
        spare->key = key;
    }
    return spare;
}

peer_state *peers_join(peers *t, uint64_t key, uint32_t **held)
{
    peers_lock(t);
    peer_state *s = find(t, key ? key : 1);
    if (s) {
        s->users[this_worker / WORKER_BITS] |= 1ULL << this_worker % WORKER_BITS;
        *held = held_of(s) + this_worker;
    }
    peers_unlock(t);
    return s;
}

static void drop(peer_state *s, uint32_t worker)
{
    uint32_t *held = held_of(s) + worker;
    __atomic_sub_fetch(&s->in_flight, *held, __ATOMIC_RELAXED);
    *held = 0;
    s->users[worker / WORKER_BITS] &= ~(1ULL << worker % WORKER_BITS);
}

void peers_leave(peers *t, peer_state *s)
{
    peers_lock(t);
    drop(s, this_worker);
    peers_unlock(t);
}

void peers_forget_worker(peers *t, uint32_t worker)
{
    peers_lock(t);
    for (uint32_t i = 0; i < t->cells && cell_at(t, i)->key; i++) {
        if (worker < t->workers) {
            drop(cell_at(t, i), worker);
        }
    }
    if (t->leader == worker + 1) {
        t->leader = 0;
    }
    peers_unlock(t);
}

bool peers_lead(peers *t, int64_t now_ms)
{
    uint32_t me = this_worker + 1;
    peers_lock(t);
    if (t->leader == 0 || now_ms - t->leader_ms > LEASE_MS) {
        t->leader = me;
    }
    bool lead = t->leader == me;
    if (lead) {
        t->leader_ms = now_ms;
    }
    peers_unlock(t);
    return lead;
}

void peers_resign(peers *t)
{
    peers_lock(t);
    if (t->leader == this_worker + 1) {
        t->leader = 0;
    }
    peers_unlock(t);
}
