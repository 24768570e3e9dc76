/* group_impl.h — what group.c shares with its neighbours in back/ only. */
#ifndef BACK_GROUP_IMPL_H
#define BACK_GROUP_IMPL_H

#include "back/changes.h"
#include "back/group.h"
#include "base/map.h"

struct group_set {
    loop *l;
    resolver *resolver; /* the gateway's own; may be NULL */
    list groups;
    list waiters;
    list names;          /* of nameserver (nameserver.c) */
    map dynamic;         /* key → group made at run time (dynamic.c) */
    list dynamic_lru;    /* least recently used first */
    uint32_t nwaiters, ndynamic;
    bool closing;
    changes changes;     /* what was changed at run time */
};

/* What of that is about one peer. */
struct peer_change {
    enum change_state state;
    int weight; /* 0: none */
};

/* Without peers, on the set's list, no reference yet. */
group *group_new(group_set *s, str name);
/* The configured group of that name, or NULL. */
group *group_find(const group_set *s, str name);
/* Takes numbers and switches of `c`; what points into the configuration does not come along. */
void group_copy_conf(group *g, const struct conf_upstream *c);
/* The origins become those of c; known ones stay as they are. */
void group_set_origins(group *g, const struct conf_peers *c);
void group_change_of(const peer *p, struct peer_change *out);
bool group_is_named(const group *g, str name);
/* The list of peers changed: counts and tiers are made anew. */
void group_rebuild(group *g);
void group_wake_waiters(group *g);
resolver *group_resolver(const group *g);
/* Groups made at run time that were made like this one are forgotten (requests keep theirs). */
void group_forget_dynamic(group *like);

#endif
