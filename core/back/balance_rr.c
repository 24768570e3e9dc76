/* balance_rr.c — smooth weighted round robin: the sequence is even, not bursts, whatever the
 * weights. */
#include "back/balance.h"
#include "shm/peers.h"

bool balance_allows(const choice *c, const peer *p)
{
    for (int i = 0; i < c->args->ntried; i++) {
        if (c->args->tried[i] == p) {
            return false;
        }
    }
    return peer_is_eligible(p, c->args->now_ms);
}

void balance_turn(struct turns *t, peer *p)
{
    bool joint = t->c->g->joint_turns;
    int *current = joint ? &p->st->current : &p->current;
    int *effective = joint ? &p->st->effective : &p->effective;
    *current += *effective;
    t->total += *effective;
    if (*effective < p->weight) {
        ++*effective; /* recovers from failures */
    }
    if (!t->best || *current > (joint ? t->best->st->current : t->best->current)) {
        t->best = p;
    }
}

peer *balance_turned(struct turns *t)
{
    if (t->best) {
        *(t->c->g->joint_turns ? &t->best->st->current : &t->best->current) -= t->total;
    }
    return t->best;
}

peer *balance_rr(const choice *c)
{
    struct turns t = {.c = c};
    for (uint32_t i = 0; i < c->tier->n; i++) {
        if (balance_allows(c, c->tier->v[i])) {
            balance_turn(&t, c->tier->v[i]);
        }
    }
    return balance_turned(&t);
}
