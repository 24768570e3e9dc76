/* probe.h — active checks: asks peers whether they are well, whether requests come or not.
 *
 * One worker of all checks a group: the one that leads its shared table (shm/peers.h); results are
 * flags that all see. A check is one exchange on a connection of its own: tcp connects (with TLS:
 * completes the handshake), http asks for a path and looks at status and body. `check_fall` failures
 * in a row take a peer out, `check_rise` successes bring it back. Pauses vary by some percent, so
 * that checks of many peers, groups and gateways do not march in step. */
#ifndef BACK_PROBE_H
#define BACK_PROBE_H

#include "back/group.h"

/* A new configuration (c: with its texts). 0, or ERR_CONF with a text in err when `check` cannot be
 * compiled; with g NULL it only looks. */
MUST_USE int probe_check(const struct conf_upstream *c, char *err, size_t cap);
/* Starts, changes or ends the checks of a group. */
void probe_apply(group *g, const struct conf_upstream *c);
/* The group is about to be freed. */
void probe_stop(group *g);

#endif
