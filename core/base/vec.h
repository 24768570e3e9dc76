/* vec.h — growable array: VEC(type) name; vec_push(&name, value). Doubles; aborts when memory is out.
 * For load-time structures; request data uses pools. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/attr.h"

#include <stdint.h>

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *v;                                                                                   \
        uint32_t n, cap;                                                                           \
    }

/* Makes room for one more element of `size` bytes; returns the array, moved or not. */
void *vec_grow(void *v, uint32_t n, uint32_t *cap, size_t size);

#define vec_push(vec, value)                                                                       \
    ((vec)->v = vec_grow((vec)->v, (vec)->n, &(vec)->cap, sizeof *(vec)->v), (vec)->v[(vec)->n++] = (value))
#define vec_fini(vec) (vec_free((vec)->v), (vec)->v = NULL, (vec)->n = (vec)->cap = 0)

void vec_free(void *v);

#endif
