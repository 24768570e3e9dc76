/* group_impl.h — what group.c offers to origin.c only. */
#ifndef BACK_GROUP_IMPL_H
#define BACK_GROUP_IMPL_H

#include "back/group.h"

/* The list of peers changed: counts and tiers are made anew. */
void group_rebuild(group *g);
void group_wake_waiters(group *g);
resolver *group_resolver(const group *g);

#endif
