/* dynamic.h — groups made at run time, for addresses that a request computes (proxy_pass with
 * variables).
 *
 * A dynamic group is made like another one: it has that group's numbers and TLS settings, and the
 * one peer that the address says, or the peers of the configured upstream of that name. The set
 * keeps a bounded number of them, the least recently used go first; requests hold references. */
#ifndef BACK_DYNAMIC_H
#define BACK_DYNAMIC_H

#include "back/group.h"

typedef struct nameserver nameserver;

struct dynamic_args {
    group *like;       /* numbers, switches and TLS; its own peers do not matter */
    str address;       /* "host:port", "host", "[::1]:80", "unix:/path" */
    uint16_t port;     /* when the address has none; 0: it must have one */
    nameserver *names; /* who is asked for a name; NULL: nobody, ERR_RESOLVE */
    bool configured;   /* a configured upstream of that name is meant by it, when no port is said */
};

/* *out is a reference. 0; ERR_INVALID: not an address (no port, no host); ERR_RESOLVE: a name, and
 * nobody to ask. A name that is still looked up has no peer yet: group_pick says NULL and
 * group_wait_resolved waits. */
MUST_USE int group_set_dynamic(group_set *s, const struct dynamic_args *a, group **out);

#endif
