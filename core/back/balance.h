/* balance.h — how a group chooses among its peers: one function per method, over one tier
 * (primaries or backups).
 *
 * A chosen peer passed balance_allows: eligible, not tried by this request. All answer NULL when no
 * peer does. They change only their own state (smooth round robin's weights); counting the attempt
 * is group_pick's. */
#ifndef BACK_BALANCE_H
#define BACK_BALANCE_H

#include "back/group.h"

typedef struct choice {
    group *g;
    struct tier *tier;
    const struct pick_args *args;
} choice;

bool balance_allows(const choice *c, const peer *p);
/* Smooth weighted round robin: of weights 5 1 1 the order is a a b a c a a. A peer that failed gets
 * its weight back step by step. */
peer *balance_rr(const choice *c);
/* Fewest in flight by weight; round robin among equals. */
peer *balance_least(const choice *c);
/* The less loaded of two random peers: as good as least in flight without looking at all, and no
 * herd when many processes choose. */
peer *balance_p2c(const choice *c);
/* Weighted rendezvous hashing: the key's peer stays the same unless that peer itself comes or goes.
 * Without a key: random. */
peer *balance_hash(const choice *c);

#endif
