/* list.h — intrusive doubly linked ring. A node that is not on a list points to itself, so
 * list_is_linked() needs no flag and removing twice is harmless. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/attr.h"

#include <stdbool.h>

typedef struct list {
    struct list *next, *prev;
} list;

static inline void list_init(list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_linked(const list *node)
{
    return node->next != node;
}

static inline bool list_is_empty(const list *head)
{
    return head->next == head;
}

static inline void list_insert_before(list *at, list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_push_back(list *head, list *node)
{
    list_insert_before(head, node);
}

static inline void list_push_front(list *head, list *node)
{
    list_insert_before(head->next, node);
}

static inline void list_remove(list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}

/* Moves everything from `from` (left empty) to the empty head `to`. */
static inline void list_take(list *to, list *from)
{
    list_init(to);
    if (!list_is_empty(from)) {
        *to = *from;
        to->next->prev = to->prev->next = to;
        list_init(from);
    }
}

#define list_item(node, type, member) container_of(node, type, member)
#define LIST_EACH(it, head) for (list *it = (head)->next; it != (head); it = it->next)
/* The current node may be removed inside the loop. */
#define LIST_EACH_SAFE(it, head)                                                                   \
    for (list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
