/* balance_p2c.c — two random choices by weight, the less loaded one wins. Peers that may not be
 * chosen are drawn again a few times; a tier in which most are out is then searched from a random
 * place, so that a live peer is always found. */
#include "back/balance.h"

#include "base/rand.h"

enum { DRAWS = 6 };

static peer *draw(const struct tier *t)
{
    if (t->even) {
        return t->v[rand_below(t->n)];
    }
    int at = (int)rand_below((uint32_t)t->weight);
    for (uint32_t i = 0; i < t->n; i++) {
        at -= t->v[i]->weight;
        if (at < 0) {
            return t->v[i];
        }
    }
    return t->v[t->n - 1];
}

static peer *draw_allowed(const choice *c, const peer *but)
{
    for (int i = 0; i < DRAWS; i++) {
        peer *p = draw(c->tier);
        if (p != but && balance_allows(c, p)) {
            return p;
        }
    }
    uint32_t from = rand_below(c->tier->n);
    for (uint32_t i = 0; i < c->tier->n; i++) {
        peer *p = c->tier->v[(from + i) % c->tier->n];
        if (p != but && balance_allows(c, p)) {
            return p;
        }
    }
    return NULL;
}

peer *balance_p2c(const choice *c)
{
    if (c->tier->n == 1) {
        return balance_allows(c, c->tier->v[0]) ? c->tier->v[0] : NULL;
    }
    peer *a = c->tier->n ? draw_allowed(c, NULL) : NULL;
    peer *b = a ? draw_allowed(c, a) : NULL;
    if (!b) {
        return a;
    }
    return (int64_t)peer_in_flight(b) * a->weight < (int64_t)peer_in_flight(a) * b->weight ? b : a;
}
