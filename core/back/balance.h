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

/* One round of smooth weighted round robin: each candidate gains its weight, the richest is taken
 * and pays the sum. */
struct turns {
    const choice *c;
    peer *best;
    int total;
};
void balance_turn(struct turns *t, peer *p);
peer *balance_turned(struct turns *t);

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
/* Least expected time (balance_time.c). */
peer *balance_time(const choice *c);
int64_t balance_expected(const choice *c, peer *p);
/* As nginx's dialect has them (balance_nginx.c): a random peer or the better of two; by the client's
 * network; by a key, modulo the weights; by a key on a ring. After 20 draws: round robin. */
peer *balance_random(const choice *c);
peer *balance_ip_hash(const choice *c);
peer *balance_hash_mod(const choice *c);
peer *balance_hash_ring(const choice *c);
/* The ring of a tier whose peers change. NULL is ignored. */
void balance_ring_free(struct ring *r);

#endif
