/* log_file.c — see log_file.h. */
#include "flow/log_file.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/syslog.h"
#include "flow/log_gzip.h"
#include "net/loop.h"
#include "net/timer.h"
#include "shm/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIPE_PIECE = 4096, /* PIPE_BUF: what a writable pipe takes for sure */
    PIPE_MS = 1000,    /* between two tries when a pipe is full */
    COMPLAIN_MS = 60000,
};

struct log_file {
    list node;
    char *path;
    int fd;
    uint32_t refs;
    loop *l;
    timer timer;
    job job;
    bool may_block; /* a pipe or terminal, not a file */
    bool syslog;
    int gzip;
    size_t flush_at;
    int64_t flush_ms, complained_ms;
    size_t n, cap;
    char *buf;
};

/* The files of this process. */
static list files = {&files, &files};

/* Descriptors the master gave us before anybody opened their path. */
typedef struct given {
    list node;
    int fd;
    char path[];
} given;

static list givens = {&givens, &givens};

/* The one for this path, which is the caller's then; -1: none. */
static int given_take(const char *path)
{
    LIST_EACH(it, &givens)
    {
        given *g = list_item(it, given, node);
        if (strcmp(g->path, path) == 0) {
            int fd = g->fd;
            list_remove(&g->node);
            free(g);
            return fd;
        }
    }
    return -1;
}

static int file_fd(const char *path)
{
    if (strcmp(path, "-") == 0) {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    int fd = given_take(path);
    if (fd >= 0) {
        return fd;
    }
    if (syslog_is(str_c(path))) {
        return syslog_open(str_c(path));
    }
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static bool fd_may_block(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
}

static void complain(log_file *f, int errnum)
{
    if (!f->complained_ms || clock_ms() - f->complained_ms > COMPLAIN_MS) {
        f->complained_ms = clock_ms();
        log_error("access log %s: %s; lines are lost", f->path, strerror(errnum));
    }
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) {
        lines++;
    }
    return lines;
}

/* How much may be written now without waiting. */
static size_t writable(const log_file *f, size_t left)
{
    if (!f->may_block) {
        return left;
    }
    struct pollfd p = {.fd = f->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT)) {
        return 0;
    }
    return left < PIPE_PIECE ? left : PIPE_PIECE;
}

/* Everything to a file, as a member of a gzip file of its own, so that what was written is whole whenever the process dies. */
static bool write_packed(log_file *f)
{
    size_t n;
    char *packed = log_gzip(str_of(f->buf, f->n), f->gzip, &n);
    bool ok = packed && write(f->fd, packed, n) == (ssize_t)n;
    free(packed);
    return ok;
}

static void flush(log_file *f)
{
    size_t done = 0;
    if (f->gzip && !f->may_block && f->n) {
        if (!write_packed(f)) {
            complain(f, errno);
            stats_add(STAT_LOG_LINES_LOST, count_lines(f->buf, f->n));
        }
        f->n = 0;
        return;
    }
    while (done < f->n) {
        size_t piece = writable(f, f->n - done);
        ssize_t n = piece ? write(f->fd, f->buf + done, piece) : 0;
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) { /* disk full, reader gone: waiting would not help */
            complain(f, errno);
            stats_add(STAT_LOG_LINES_LOST, count_lines(f->buf + done, f->n - done));
            done = f->n;
        }
        if (n == 0) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    f->n -= done;
    memmove(f->buf, f->buf + done, f->n);
    if (f->n && f->l) {
        timer_set(f->l, &f->timer, PIPE_MS);
    }
}

static void on_flush(job *j)
{
    flush(container_of(j, log_file, job));
}

static void on_timer(timer *t)
{
    log_file *f = container_of(t, log_file, timer);
    job_wake(f->l, &f->job);
}

static log_file *file_find(const char *path)
{
    LIST_EACH(it, &files)
    {
        log_file *f = list_item(it, log_file, node);
        if (strcmp(f->path, path) == 0) {
            return f;
        }
    }
    return NULL;
}

/* A reload may ask for another size. */
static void file_configure(log_file *f, const struct log_file_args *a)
{
    size_t cap = a->buffer + LOG_LINE_MAX;
    cap = cap < 2 * LOG_LINE_MAX ? 2 * LOG_LINE_MAX : cap;
    if (cap > f->cap) {
        f->buf = realloc(f->buf, cap);
        REQUIRE(f->buf);
        f->cap = cap;
    }
    f->flush_at = a->buffer;
    f->flush_ms = a->flush_ms;
    f->gzip = a->gzip;
}

log_file *log_file_open(loop *l, const struct log_file_args *a)
{
    log_file *f = file_find(a->path);
    if (f) {
        f->refs++;
        f->l = l;
        file_configure(f, a);
        return f;
    }
    int fd = file_fd(a->path);
    if (fd < 0) {
        return NULL;
    }
    f = calloc(1, sizeof *f);
    REQUIRE(f != NULL);
    f->path = strdup(a->path);
    REQUIRE(f->path != NULL);
    f->fd = fd;
    f->refs = 1;
    f->l = l;
    f->syslog = syslog_is(str_c(a->path));
    f->may_block = fd_may_block(fd);
    file_configure(f, a);
    timer_init(&f->timer, on_timer);
    job_init(&f->job, on_flush);
    list_push_back(&files, &f->node);
    return f;
}

void log_file_close(log_file *f)
{
    if (--f->refs) {
        return;
    }
    flush(f);
    timer_stop(&f->timer);
    job_cancel(&f->job);
    list_remove(&f->node);
    close(f->fd);
    free(f->path);
    free(f->buf);
    free(f);
}

char *log_file_room(log_file *f)
{
    if (f->cap - f->n < LOG_LINE_MAX) { /* a pipe that nobody reads */
        stats_add(STAT_LOG_LINES_LOST, 1);
        return NULL;
    }
    return f->buf + f->n;
}

/* The line is at the start of the buffer, which is empty otherwise. */
static void send_datagram(log_file *f, size_t n)
{
    char datagram[LOG_LINE_MAX + 256];
    size_t head = syslog_prefix(str_c(f->path), -1, datagram, sizeof datagram - LOG_LINE_MAX);
    memcpy(datagram + head, f->buf, n - 1);
    if (write(f->fd, datagram, head + n - 1) < 0) {
        complain(f, errno);
        stats_add(STAT_LOG_LINES_LOST, 1);
    }
}

void log_file_take(log_file *f, size_t n)
{
    if (n == 0) {
        return;
    }
    if (f->syslog) {
        send_datagram(f, n);
        return;
    }
    bool first = f->n == 0;
    f->n += n;
    if (f->flush_at && f->n >= f->flush_at) {
        flush(f);
    } else if (!f->flush_at && f->l) {
        job_wake(f->l, &f->job);
    } else if (first && f->l && f->flush_ms > 0) {
        timer_set(f->l, &f->timer, f->flush_ms);
    }
}

void log_file_settle(log_file *f)
{
    if (!f->flush_at && f->n) {
        flush(f);
    }
}

int log_file_once_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    return fd < 0 ? err_from_errno(errno) : fd;
}

int log_file_once_write(int fd, str line)
{
    ssize_t n = write(fd, line.p, line.n);
    return n == (ssize_t)line.n ? 0 : n < 0 ? err_from_errno(errno) : ERR_IO;
}

int log_file_once(const char *path, str line)
{
    int fd = log_file_once_open(path);
    if (fd < 0) {
        return fd;
    }
    int rc = log_file_once_write(fd, line);
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

void log_file_flush_all(void)
{
    LIST_EACH(it, &files)
    {
        flush(list_item(it, log_file, node));
    }
}

/* What was written before belongs to the old file. */
static void file_switch(log_file *f, int fd)
{
    flush(f);
    close(f->fd);
    f->fd = fd;
    f->may_block = fd_may_block(fd);
}

void log_file_reopen_all(void)
{
    LIST_EACH(it, &files)
    {
        log_file *f = list_item(it, log_file, node);
        if (strcmp(f->path, "-") == 0) {
            flush(f);
            continue;
        }
        int fd = file_fd(f->path);
        if (fd >= 0) {
            file_switch(f, fd);
        } else {
            log_error("access log %s: cannot reopen: %s; the old file is kept", f->path, strerror(errno));
        }
    }
}

void log_file_adopt(const char *path, int fd)
{
    log_file *f = file_find(path);
    if (f) {
        file_switch(f, fd);
        return;
    }
    int older = given_take(path);
    if (older >= 0) {
        close(older);
    }
    given *g = malloc(sizeof *g + strlen(path) + 1);
    REQUIRE(g != NULL);
    g->fd = fd;
    strcpy(g->path, path);
    list_push_back(&givens, &g->node);
}
