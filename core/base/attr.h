/* attr.h — compiler attributes and two tiny helpers that every file may use.
 *
 * MUST_USE on everything that can fail, API on what libmoongate_test.so or ffi.C may see. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define COLD __attribute__((cold, noinline))
/* For the unusual half of a function on the hot path, so that the usual half saves fewer registers. */
#define NOINLINE __attribute__((noinline))
#define NORETURN __attribute__((noreturn))
#define API __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that embeds `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
