/* resolve_impl.h — the resolver's body, for resolve.c and resolve_chase.c. */
#ifndef NET_RESOLVE_IMPL_H
#define NET_RESOLVE_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "net/resolve.h"
#include "net/timer.h"

#include <ares.h>

enum { RESOLVE_MAX_SERVERS = 16 };

struct resolver {
    loop *l;
    ares_channel channels[RESOLVE_MAX_SERVERS];
    int nchannels;
    uint32_t turn; /* of the channels */
    map records;
    list lru;
    uint32_t n;
    struct sock *socks;
    struct resolver_args args;
    timer tick;
    job work;
    bool closing;
};

/* After something was asked: the timer follows c-ares. */
void resolver_arm(resolver *r);
struct chased;
/* Fresh addresses of a name that is in the cache, added to *out; false: it is not. */
bool resolver_known(resolver *r, const char *name, struct chased *out);
/* The channel whose turn it is. */
ares_channel resolver_next_channel(resolver *r);

#endif
