/* check.h — assertions. REQUIRE is always on and guards memory safety and ownership; CHECK exists in
 * debug builds (MG_DEBUG) and guards logic on hot paths. Never use either on input from a peer, from
 * Lua or from a configuration: those make errors. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/attr.h"

/* Writes the message, the current request's id (if any) and a backtrace to stderr, then aborts. */
NORETURN COLD void fatal(const char *fmt, ...) PRINTF(1, 2);
/* Remembered for fatal(): what this process was working on. 0 = nothing. */
void check_set_request(unsigned long long id);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (UNLIKELY(!(cond))) {                                                                   \
            fatal("%s:%d: requirement failed: %s", __FILE__, __LINE__, #cond);                     \
        }                                                                                          \
    } while (0)

#ifdef MG_DEBUG
#define CHECK(cond) REQUIRE(cond)
#else
#define CHECK(cond) ((void)sizeof(!(cond)))
#endif

#endif
