/* log.c — one line, one write(2) per destination: lines of several processes that share the file with O_APPEND do not mix,
 * and nothing is lost when a process dies. Control bytes in the text (peers' bytes get into messages) are
 * written as \xNN, so that a line is always one line. */
#include "base/log.h"

#include "base/check.h"
#include "base/err.h"
#include "base/syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, TEXT_MAX = 3072 };

static const char *const level_names[] = {"debug", "info",  "notice", "warn",
                                          "error", "crit", "alert",  "emerg"};

struct log_destination {
    log_destination *next;
    int fd; /* -1: none yet */
    bool syslog;
    str name; /* owned, NUL-terminated */
};

static log_destination on_stderr = {NULL, STDERR_FILENO, false, {"stderr", 6}};
static log_destination plain = {NULL, STDERR_FILENO, false, {"", 0}}; /* of log_open and log_adopt */

static struct {
    log_destination *all; /* they live as long as the process: routes of any generation point at them */
    struct log_sink own[LOG_SET_MAX];
    log_set set;
    char *path; /* of `plain`; NULL: not ours to reopen */
    enum log_style style;
    void (*capture)(int level, const char *line);
} out = {&on_stderr, {{&plain, LOG_NOTICE_}}, {out.own, 1, LOG_NOTICE_}, NULL, LOG_STYLE_NATIVE, NULL};

static void log_use_plain(enum log_level level)
{
    out.own[0] = (struct log_sink){&plain, level};
    out.set = (log_set){out.own, 1, level};
}

/* Replaces the plain destination's descriptor by one of `path` (NULL: stderr). */
static int log_switch(const char *path)
{
    int fd = STDERR_FILENO;
    if (path) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) {
            return err_from_errno(errno);
        }
    }
    log_destination_adopt(&plain, fd);
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
    log_use_plain(level);
    return 0;
}

int log_reopen(void)
{
    return out.path ? log_switch(out.path) : 0;
}

void log_adopt(int fd)
{
    log_destination_adopt(&plain, fd);
    free(out.path);
    out.path = NULL;
    log_use_plain(out.set.lowest);
}

void log_set_level(enum log_level level)
{
    out.set.lowest = level;
    for (int i = 0; i < out.set.n; i++) {
        out.set.v[i].level = level;
    }
}

enum log_level log_level_now(void)
{
    return out.set.lowest;
}

const char *log_path_now(void)
{
    return out.path;
}

void log_set_style(enum log_style style)
{
    out.style = style;
}

enum log_style log_style_now(void)
{
    return out.style;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
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

/* ---- destinations */

log_destination *log_destination_of(str name)
{
    for (log_destination *d = out.all; d; d = d->next) {
        if (str_eq(d->name, name)) {
            return d;
        }
    }
    log_destination *d = calloc(1, sizeof *d);
    char *copy = strndup(name.p, name.n);
    REQUIRE(d && copy);
    *d = (log_destination){out.all, -1, syslog_is(name), str_of(copy, name.n)};
    out.all = d;
    return d;
}

void log_destination_adopt(log_destination *d, int fd)
{
    if (d->fd > STDERR_FILENO && d->fd != fd) {
        close(d->fd);
    }
    d->fd = fd;
}

void log_use(const log_set *set)
{
    log_destination_adopt(&plain, STDERR_FILENO); /* of the time before */
    free(out.path);
    out.path = NULL;
    out.set.n = set->n < LOG_SET_MAX ? set->n : LOG_SET_MAX;
    memcpy(out.own, set->v, sizeof *set->v * (size_t)out.set.n);
    out.set.lowest = set->lowest;
}

/* ---- lines */

/* "2026-11-23T10:00:00.123Z level pid ", or as nginx has it. */
static size_t write_prefix(char *line, size_t cap, enum log_level level)
{
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    int pid = (int)getpid();
    if (out.style == LOG_STYLE_NGINX) {
        localtime_r(&ts.tv_sec, &tm);
        size_t n = strftime(line, cap, "%Y/%m/%d %H:%M:%S", &tm);
        int more = snprintf(line + n, cap - n, " [%s] %d#%d: ", level_names[level], pid, pid);
        return n + (more > 0 ? (size_t)more : 0);
    }
    gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(line, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    int more = snprintf(line + n, cap - n, ".%03dZ %s %d ", (int)(ts.tv_nsec / 1000000),
                        level_names[level], pid);
    return n + (more > 0 ? (size_t)more : 0);
}

/* Copies `text` to line + n with control bytes escaped; leaves a byte for the line end. */
static size_t write_escaped(char *line, size_t n, str text)
{
    for (size_t i = 0; i < text.n && n + 5 < LINE_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)text.p[i];
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

/* A log that cannot be written has nowhere to say so. */
static void write_to(const log_destination *d, enum log_level level, const char *line, size_t n)
{
    if (d->fd < 0) {
        return;
    }
    ssize_t ignored;
    if (d->syslog) {
        char datagram[LINE_MAX_BYTES + 256];
        size_t head = syslog_prefix(d->name, (int)level, datagram, sizeof datagram - LINE_MAX_BYTES);
        memcpy(datagram + head, line, n - 1); /* no line end */
        ignored = write(d->fd, datagram, head + n - 1);
    } else {
        ignored = write(d->fd, line, n);
    }
    (void)ignored;
}

static void log_to_spec(enum log_level level, str head, str text, str tail)
{
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line, "%.*s%.*s%.*s", STR_ARG(head), STR_ARG(text), STR_ARG(tail));
    out.capture((int)level, line);
}

void log_line(const log_set *set, enum log_level level, str head, str text, str tail)
{
    set = set ? set : &out.set;
    if (level < set->lowest) {
        return;
    }
    int saved = errno;
    if (out.capture) {
        log_to_spec(level, head, text, tail);
        errno = saved;
        return;
    }
    char line[LINE_MAX_BYTES];
    size_t n = write_prefix(line, sizeof line, level);
    n = write_escaped(line, n, head);
    n = write_escaped(line, n, text);
    n = write_escaped(line, n, tail);
    line[n++] = '\n';
    for (int i = 0; i < set->n; i++) {
        if (level >= set->v[i].level) {
            write_to(set->v[i].to, level, line, n);
        }
    }
    errno = saved;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level < out.set.lowest) {
        return;
    }
    int saved = errno;
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_line(NULL, level, STR_EMPTY, str_of(text, n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1), STR_EMPTY);
    errno = saved;
}
