/* origin.h — one configured address of a group, and the peers it stands for: one for
 * "127.0.0.1:3000", one per address of a name. Names are looked up again when their TTL ends; while
 * DNS fails the last good answer stays. */
#ifndef BACK_ORIGIN_H
#define BACK_ORIGIN_H

#include "back/group.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/timer.h"

typedef struct origin origin;
typedef struct service_query service_query; /* net/resolve_service.h */

struct origin {
    list node; /* in its group */
    group *g;
    char *text; /* as configured: "app.internal:3000"; owned */
    char *label; /* its name in the configuration, when that is another; owned */
    str host;   /* the name in `text`; empty when it is an address */
    uint16_t port;
    struct conf_peer own; /* numbers and switches of the configuration */
    resolve_query *query; /* under way, or NULL */
    service_query *services; /* the same for SRV records */
    job job;
    timer timer;      /* next look-up */
    int64_t retry_ms; /* pause after the next failure */
    int64_t fresh_ms; /* made at run time: the answer is good until then */
    bool answered;    /* has had addresses */
    bool kept;        /* while a new configuration is applied */
    bool added;       /* at run time: not in the configuration */
};

/* On the group's list. An address has its peer at once, a name after origin_start. */
origin *origin_new(group *g, const struct conf_peer *c, uint16_t default_port);
void origin_update(origin *o, const struct conf_peer *c);
/* Its numbers, and what was changed at run time, into its peers. */
void origin_apply(origin *o);
/* Is its name being looked up? */
bool origin_is_asking(const origin *o);
/* Looks the name up, from the cache at once when it is there. */
void origin_start(origin *o);
/* Forgets the look-up under way and the next one. */
void origin_stop(origin *o);
/* Of a group made at run time: asks again when the answer is out of date. */
void origin_refresh(origin *o);
/* A name whose port changed: until it is looked up it has the addresses that `old` found. */
void origin_inherit(origin *o, const origin *old);
/* Its peers retire. */
void origin_free(origin *o);

#endif
