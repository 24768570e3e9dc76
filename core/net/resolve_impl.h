/* resolve_impl.h — the resolver's body, for resolve.c and resolve_chase.c. */
#ifndef NET_RESOLVE_IMPL_H
#define NET_RESOLVE_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "net/resolve.h"
#include "net/timer.h"

#include <ares.h>

enum { RESOLVE_MAX_SERVERS = 16, RESOLVE_NAME_ROOM = 254 };

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
/* Lower case, without a final dot, terminated; 0 when it is no host name. `out` has RESOLVE_NAME_ROOM bytes. */
size_t resolver_normalise(str name, char *out);
/* How long an answer is good, in milliseconds, by the resolver's settings. */
int64_t resolver_ttl_ms(const resolver *r, int64_t ttl_s);
/* The channel whose turn it is. */
ares_channel resolver_next_channel(resolver *r);

#endif
