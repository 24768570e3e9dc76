/* resolve_service.h — where a service is (RFC 2782): SRV records, then the addresses of their targets. */
#ifndef NET_RESOLVE_SERVICE_H
#define NET_RESOLVE_SERVICE_H

#include "net/addr.h"
#include "net/loop.h"

typedef struct resolver resolver;
typedef struct service_query service_query;

enum { SERVICE_MAX_TARGETS = 32, SERVICE_MAX_ADDRS = 64 };

struct service_addr {
    addr at;           /* with its port */
    uint16_t priority; /* the least one first */
    uint16_t weight;   /* at least 1 */
};

typedef struct service_answer {
    int n;
    struct service_addr v[SERVICE_MAX_ADDRS];
    int64_t ttl_ms;
    bool none; /* with ERR_RESOLVE: DNS says that there is nothing; else it did not work */
} service_answer;

/* `name`: "_http._tcp.app.internal". Wakes `user` when done. The SRV records are not cached here, addresses are. */
MUST_USE service_query *service_start(resolver *r, str name, job *user);
/* 0, ERR_AGAIN, ERR_RESOLVE, ERR_TIMEOUT, ERR_CANCELLED; ends the query unless ERR_AGAIN. Targets that have no addresses are left out when others have some. */
MUST_USE int service_result(service_query *q, service_answer *out);
/* NULL is ignored. */
void service_cancel(service_query *q);

#endif
