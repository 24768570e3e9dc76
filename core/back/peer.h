/* peer.h — life and passive health of one peer; what group.h does not tell everybody.
 *
 * Health: failures are counted in windows. When a window has as many as the peer may have, the peer
 * is out of rotation for the length of a window; then one attempt is let through, and its outcome
 * decides. Never more than the group's panic share of a tier is out at a time: many peers failing
 * at once are more likely a fault of ours or of what they share, and sending everything to the last
 * one would only kill it too. */
#ifndef BACK_PEER_H
#define BACK_PEER_H

#include "back/group.h"

struct origin;

/* On the group's list, with one reference for that. The address is copied. */
peer *peer_new(struct origin *o, const addr *at);
/* No longer configured: off the list, parked connections closed; lives on while requests hold it.
 */
void peer_retire(peer *p);
/* group_pick chose it: counts, refers. */
peer *peer_take(peer *p, int64_t now_ms);

#endif
