/* zero.h — clears some hundred bytes. */
#ifndef BASE_ZERO_H
#define BASE_ZERO_H

#include <string.h>

/* memset with a size that the compiler does not know: one that it knows, of this order, it turns into `rep stos`, whose start alone costs more than
 * libc's whole call. */
static inline void zero(void *p, size_t n)
{
    __asm__("" : "+r"(n));
    memset(p, 0, n);
}

#endif
