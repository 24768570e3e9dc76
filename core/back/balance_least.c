/* balance_least.c — fewest requests in flight per weight. Equals take turns by smooth round robin,
 * so that an idle group does not send everything to its first peer. */
#include "back/balance.h"

/* Compares in_flight / weight without dividing. */
static int64_t load_diff(const peer *a, const peer *b)
{
    return (int64_t)peer_in_flight(a) * b->weight - (int64_t)peer_in_flight(b) * a->weight;
}

static peer *turn_among_equals(const choice *c, const peer *least)
{
    struct turns t = {.c = c};
    for (uint32_t i = 0; i < c->tier->n; i++) {
        peer *p = c->tier->v[i];
        if (load_diff(p, least) == 0 && balance_allows(c, p)) {
            balance_turn(&t, p);
        }
    }
    return balance_turned(&t);
}

peer *balance_least(const choice *c)
{
    peer *least = NULL;
    bool alone = true;
    for (uint32_t i = 0; i < c->tier->n; i++) {
        peer *p = c->tier->v[i];
        if (!balance_allows(c, p)) {
            continue;
        }
        int64_t diff = least ? load_diff(p, least) : -1;
        alone = diff < 0 || (diff > 0 && alone);
        least = diff < 0 ? p : least;
    }
    return least && !alone ? turn_among_equals(c, least) : least;
}
