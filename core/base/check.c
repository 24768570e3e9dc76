/* check.c — the end of a process that found itself wrong. Only async-signal-safe calls after the
 * text is formatted: fatal() may be reached with the heap already damaged. */
#include "base/check.h"

#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKTRACE_MAX = 48 };

static unsigned long long current_request;

void check_set_request(unsigned long long id)
{
    current_request = id;
}

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(STDERR_FILENO, p, n);
        if (w <= 0) {
            return;
        }
        p += w;
        n -= (size_t)w;
    }
}

void fatal(const char *fmt, ...)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "fatal: pid %d", (int)getpid());
    if (current_request) {
        n += snprintf(line + n, sizeof line - (size_t)n, " request %llx", current_request);
    }
    n += snprintf(line + n, sizeof line - (size_t)n, ": ");
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    n += more < 0 ? 0 : more;
    size_t used = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    line[used++] = '\n';
    write_all(line, used);
    void *frames[BACKTRACE_MAX];
    int depth = backtrace(frames, BACKTRACE_MAX);
    backtrace_symbols_fd(frames, depth, STDERR_FILENO);
    abort();
}
