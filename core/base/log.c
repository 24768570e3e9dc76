/* log.c — one line, one write(2): lines of several processes that share the file with O_APPEND do not mix,
 * and nothing is lost when a process dies. Control bytes in the text (peers' bytes get into messages) are
 * written as \xNN, so that a line is always one line. */
#include "base/log.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, TEXT_MAX = 2048 };

static const char *const level_names[] = {"debug", "info",  "notice", "warn",
                                          "error", "crit", "alert",  "emerg"};

static struct {
    int fd;
    enum log_level level;
    char *path; /* NULL: stderr */
    void (*capture)(int level, const char *line);
} out = {STDERR_FILENO, LOG_NOTICE_, NULL, NULL};

/* Replaces out.fd by a descriptor of `path` (NULL: stderr). */
static int log_switch(const char *path)
{
    int fd = STDERR_FILENO;
    if (path) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) {
            return err_from_errno(errno);
        }
    }
    if (out.fd != STDERR_FILENO) {
        close(out.fd);
    }
    out.fd = fd;
    return 0;
}

int log_open(const char *path, enum log_level level)
{
    char *copy = path ? strdup(path) : NULL;
    if (path && !copy) {
        return ERR_MEM;
    }
    int rc = log_switch(path);
    if (rc < 0) {
        free(copy);
        return rc;
    }
    free(out.path);
    out.path = copy;
    out.level = level;
    return 0;
}

int log_reopen(void)
{
    return out.path ? log_switch(out.path) : 0;
}

void log_adopt(int fd)
{
    if (out.fd != STDERR_FILENO) {
        close(out.fd);
    }
    out.fd = fd;
    free(out.path);
    out.path = NULL;
}

void log_set_level(enum log_level level)
{
    out.level = level;
}

enum log_level log_level_now(void)
{
    return out.level;
}

int log_level_of(str name)
{
    for (int i = 0; i < (int)ARRAY_LEN(level_names); i++) {
        if (str_ieq(name, str_c(level_names[i]))) {
            return i;
        }
    }
    return -1;
}

void log_capture(void (*fn)(int level, const char *line))
{
    out.capture = fn;
}

/* "2026-11-23T10:00:00.123Z level pid " */
static size_t write_prefix(char *line, size_t cap, enum log_level level)
{
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(line, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    int more = snprintf(line + n, cap - n, ".%03dZ %s %d ", (int)(ts.tv_nsec / 1000000),
                        level_names[level], (int)getpid());
    return n + (more > 0 ? (size_t)more : 0);
}

/* Copies `text` to line + n with control bytes escaped; leaves a byte for the line end. */
static size_t write_escaped(char *line, size_t n, const char *text)
{
    for (const char *t = text; *t && n + 5 < LINE_MAX_BYTES; t++) {
        unsigned char c = (unsigned char)*t;
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            line[n++] = '\\';
            line[n++] = 'x';
            line[n++] = "0123456789abcdef"[c >> 4];
            line[n++] = "0123456789abcdef"[c & 15];
        } else {
            line[n++] = (char)c;
        }
    }
    return n;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level < out.level) {
        return;
    }
    int saved = errno;
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (out.capture) {
        out.capture((int)level, text);
    } else {
        char line[LINE_MAX_BYTES];
        size_t n = write_escaped(line, write_prefix(line, sizeof line, level), text);
        line[n++] = '\n';
        /* a log that cannot be written has nowhere to say so */
        ssize_t ignored = write(out.fd, line, n);
        (void)ignored;
    }
    errno = saved;
}
