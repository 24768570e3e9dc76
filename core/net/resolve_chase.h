/* resolve_chase.h — one look-up of a strict resolver: A and AAAA asked for by themselves, aliases
 * followed by asking again, since such a server may answer with an alias and no more.
 *
 * c-ares' own look-up of addresses does not follow them, and does not say why it failed. */
#ifndef NET_RESOLVE_CHASE_H
#define NET_RESOLVE_CHASE_H

#include "net/resolve.h"
#include "net/resolve_service.h"

enum { CHASED_SERVICES_MAX = SERVICE_MAX_TARGETS };

/* One SRV record (RFC 2782). */
struct chased_service {
    char name[256];
    uint16_t priority, weight, port;
};

struct chased {
    int status; /* of c-ares: ARES_SUCCESS with addresses, ARES_ENODATA: there are none, others */
    int n;
    addr v[RESOLVE_MAX_ADDRS]; /* IPv4 first */
    int nservices;
    struct chased_service services[CHASED_SERVICES_MAX];
    int64_t ttl_s;             /* the shortest on the way, aliases included */
};

typedef void chase_done(void *arg, const struct chased *result);

/* `done` is called once, perhaps before this returns. `name`: normalised. */
void chase_start(resolver *r, const char *name, chase_done *done, void *arg);
/* The same for SRV records. */
void chase_service(resolver *r, const char *name, chase_done *done, void *arg);

#endif
