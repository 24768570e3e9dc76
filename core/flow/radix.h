/* radix.h — compressed radix tree over bytes, built at load and then only read: route patterns by
 * literal prefix.
 *
 * Each node may carry an item and a wild child (one path segment, whatever its bytes). radix_walk
 * follows a text as far as it goes and returns the deepest node that has an item at or above it, so
 * that a longest-prefix match costs the length of the text, not the number of keys. A folding tree
 * compares ASCII letters without case; its keys must be lower case. Nodes never move: a pointer
 * from radix_put stays good. */
#ifndef FLOW_RADIX_H
#define FLOW_RADIX_H

#include "base/pool.h"
#include "base/str.h"

typedef struct radix_node radix_node;

struct radix_node {
    str label;      /* bytes on the edge into this node */
    uint32_t depth; /* literal bytes from the root (or from the wild node above) */
    uint16_t nkids;
    uint8_t *keys; /* first byte of each child's label */
    radix_node **kids;
    uint8_t *index; /* byte → position in kids + 1, 0: none; NULL while there are few */
    radix_node *up;
    radix_node *wild;
    radix_node *near_item; /* this node or the nearest above that has an item; after radix_seal */
    void *item;
};

typedef struct radix {
    pool *pool;
    radix_node *root;
    bool fold;
} radix;

void radix_init(radix *t, pool *p, bool fold);
/* The node of `from` + key (made when missing); from NULL: the root. The key is borrowed for the
 * tree's life. */
radix_node *radix_put(radix *t, radix_node *from, str key);
/* The wild child, made when missing. */
radix_node *radix_put_wild(radix *t, radix_node *from);
/* After the last put: builds the indexes. */
void radix_seal(radix *t);
/* The child that the text goes on into, or NULL. Not for folding trees. */
radix_node *radix_enter(const radix *t, const radix_node *n, str rest);
/* Deepest node with an item on the text's way from the root; NULL: none. */
const radix_node *radix_walk(const radix *t, str text);

#endif
