/* peer.h — life of one peer, and what it and its failures mean for picks; what group.h does not tell
 * everybody.
 *
 * Passive health has two sets of rules (passive.c). Windows: failures are counted in windows; when
 * a window has as many as the peer may have, the peer is out of rotation for the length of a
 * window; then one attempt is let through, and its outcome decides. Never more than the group's
 * panic share of a tier is out at a time: many peers failing at once are more likely a fault of
 * ours or of what they share, and sending everything to the last one would only kill it too.
 * nginx: failures add up until a quiet time passed and an attempt then succeeds; with max_fails of
 * them the peer rests for fail_timeout after the last one, whatever becomes of the others; a single
 * peer never rests. */
#ifndef BACK_PEER_H
#define BACK_PEER_H

#include "back/group.h"

struct origin;

/* On the group's list, with one reference for that. The address is copied. */
peer *peer_new(struct origin *o, const addr *at);
/* No longer configured: off the list, parked connections closed; lives on while requests hold it.
 */
void peer_retire(peer *p);
/* group_pick chose it: counts, refers. NULL: other workers filled it up meanwhile. */
peer *peer_take(peer *p, int64_t now_ms);
/* Somebody says that it is well: failures and bad opinions are forgotten, its slow start begins. */
void peer_bring_up(peer *p, int64_t now_ms);
/* Counts alone from here on; with the other workers again, in the group's present table. */
void peer_part(peer *p);
void peer_join(peer *p);

/* passive.c. What st->flags & PEER_FAILED means now. */
bool passive_allows(const peer *p, int64_t now_ms);
void passive_taken(peer *p, int64_t now_ms);
void passive_failed(peer *p, int64_t now_ms);
void passive_succeeded(peer *p, int64_t now_ms);
void passive_reset(peer *p);

/* Sets and clears bits of st->flags. */
void peer_flag(peer *p, uint32_t set, uint32_t clear);
/* Around changes of st that must agree with each other. */
void peer_lock(const peer *p);
void peer_unlock(const peer *p);

#endif
