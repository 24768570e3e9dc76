/* health.h — what is known of peers beyond single failures: outliers, active checks, slow starts,
 * response times.
 *
 * Outlier detection looks at windows of requests: a peer with too many errors, or much slower than
 * the mean of the others, is out for a time that grows with every repetition, and never more than a
 * share of the peers. Active checks (probe.h) set and clear PEER_SICK. A peer that comes back by
 * either gets a growing share of picks while its slow start lasts. When nobody else is left, none
 * of this is asked (group_pick's lenient turn): a wrong opinion must not shut a whole group. */
#ifndef BACK_HEALTH_H
#define BACK_HEALTH_H

#include "back/group.h"

/* With any of PEER_SICK, PEER_OUTLIER, PEER_SLOW set: may it be chosen? */
bool health_allows(const peer *p, uint32_t flags, int64_t now_ms);
/* g->watches: an attempt ended. */
void health_seen(peer *p, const struct peer_outcome *o, int64_t now_ms);
/* Back after it was out: its slow start begins. */
void health_recovered(peer *p, int64_t now_ms);
/* A new configuration: what it does not ask for any more is forgotten. */
void health_apply(group *g);

/* least_time (balance_time.c): an attempt begins; its response head came; it ended. */
void time_taken(peer *p, int64_t now_ms);
void time_heard(peer *p, int64_t header_ms, int64_t now_ms);
void time_ended(peer *p, const struct peer_outcome *o, int64_t now_ms);

#endif
