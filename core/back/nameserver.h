/* nameserver.h — resolvers by their settings: sites and groups that ask the same servers in the same
 * way share one resolver and its cache, over reloads too. */
#ifndef BACK_NAMESERVER_H
#define BACK_NAMESERVER_H

#include "base/attr.h"

typedef struct group_set group_set;
typedef struct nameserver nameserver;
typedef struct resolver resolver;
struct conf_resolver;

/* Returns a reference; NULL when the addresses are none. */
MUST_USE nameserver *nameserver_get(group_set *s, const struct conf_resolver *c);
nameserver *nameserver_ref(nameserver *n);
/* NULL is ignored. */
void nameserver_unref(nameserver *n);
resolver *nameserver_resolver(const nameserver *n);

#endif
