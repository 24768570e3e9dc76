/* balance_rr.c — smooth weighted round robin: each candidate gains its weight, the richest is taken
 * and pays the sum. The sequence is even, not bursts, whatever the weights. */
#include "back/balance.h"

bool balance_allows(const choice *c, const peer *p)
{
    for (int i = 0; i < c->args->ntried; i++) {
        if (c->args->tried[i] == p) {
            return false;
        }
    }
    return peer_is_eligible(p, c->args->now_ms);
}

peer *balance_rr(const choice *c)
{
    peer *best = NULL;
    int total = 0;
    for (uint32_t i = 0; i < c->tier->n; i++) {
        peer *p = c->tier->v[i];
        if (!balance_allows(c, p)) {
            continue;
        }
        p->current += p->effective;
        total += p->effective;
        if (p->effective < p->weight) {
            p->effective++; /* recovers from failures */
        }
        if (!best || p->current > best->current) {
            best = p;
        }
    }
    if (best) {
        best->current -= total;
    }
    return best;
}
