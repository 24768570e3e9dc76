/* resolve.h — DNS through c-ares: A and AAAA, TTL cache, stale answers while DNS fails, hosts file. One resolver per
 * set of servers and process. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/addr.h"
#include "net/loop.h"

typedef struct resolver resolver;
typedef struct resolve_query resolve_query;

struct resolver_args {
    const char *servers;   /* "127.0.0.1:5353,..." or NULL: the system's */
    int64_t timeout_ms;    /* per query, default 5000 */
    int64_t min_ttl_ms, max_ttl_ms; /* clamps: defaults 1 s, 1 h */
    int64_t stale_ms;      /* how long a dead answer may still be used when DNS fails; default 1 day */
    int64_t valid_ms;      /* > 0: answers are good for this long whatever their TTL */
    bool strict;           /* servers take turns, failures are told at once and not remembered, nothing is used beyond its TTL, no hosts file */
    bool ipv4, ipv6;
};

enum { RESOLVE_MAX_ADDRS = 32 };
typedef struct resolve_answer {
    int n;
    addr v[RESOLVE_MAX_ADDRS]; /* port 0 */
    int64_t ttl_ms;            /* left */
    bool stale;
    bool none;                 /* with ERR_RESOLVE: DNS says that the name has no addresses; else it did not work */
} resolve_answer;

/* NULL: `servers` is not a list of addresses. */
MUST_USE resolver *resolver_new(loop *l, const struct resolver_args *args);
/* Queries must have been read or cancelled before, as far as their answers count: they end as ERR_CANCELLED. */
void resolver_free(resolver *r);
/* IP literals answer themselves, at once. From the cache, fresh: 0. ERR_AGAIN: not cached (start a query). ERR_RESOLVE: negative answer cached. */
MUST_USE int resolve_cached(resolver *r, str name, resolve_answer *out);
/* Wakes `user` when done. Queries for one name are joined. */
MUST_USE resolve_query *resolve_start(resolver *r, str name, job *user);
/* 0, ERR_AGAIN, ERR_RESOLVE, ERR_TIMEOUT, ERR_CANCELLED (the resolver is gone); frees the query unless ERR_AGAIN. */
MUST_USE int resolve_result(resolve_query *q, resolve_answer *out);
void resolve_cancel(resolve_query *q);

#endif
