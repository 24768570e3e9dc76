/* access_log.c — see access_log.h. One buffer per file and worker; a line is formatted straight
 * into it. Lines go out whole: a file is written with O_APPEND, so that workers share it. A log
 * that is a pipe never blocks the worker: what does not fit stays, and when the buffer is full
 * lines are lost and counted. */
#include "flow/access_log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/tmpl.h"
#include "flow/var_impl.h"
#include "shm/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER = 64 * 1024,
    FLUSH_AT = 32 * 1024, /* and the longest line */
    FLUSH_MS = 1000,
    FIELD_MAX = 2048,  /* bytes of a client's text in a JSON line; six times that when escaped */
    PIPE_PIECE = 4096, /* PIPE_BUF: what a writable pipe takes for sure */
    COMPLAIN_MS = 60000,
};

/* A file that logs write to. */
typedef struct logfile {
    list node;
    char *path;
    int fd;
    uint32_t refs;
    loop *l;
    timer timer;
    job job;
    bool may_block; /* a pipe or terminal, not a file */
    int64_t complained_ms;
    size_t n;
    char buf[BUFFER];
} logfile;

struct access_log {
    logfile *file;
    tmpl *line; /* NULL: JSON */
};

/* The files of this process. */
static list files = {&files, &files};

/* ---- files */

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
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static bool fd_may_block(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode);
}

static void complain(logfile *f, int errnum)
{
    if (!f->complained_ms || clock_ms() - f->complained_ms > COMPLAIN_MS) {
        f->complained_ms = clock_ms();
        log_error("access log %s: %s; lines are lost", f->path, strerror(errnum));
    }
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL;
         p++) {
        lines++;
    }
    return lines;
}

/* How much may be written now without waiting. */
static size_t writable(const logfile *f, size_t left)
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

static void flush(logfile *f)
{
    size_t done = 0;
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
        timer_set(f->l, &f->timer, FLUSH_MS);
    }
}

static void on_flush(job *j)
{
    flush(container_of(j, logfile, job));
}

static void on_timer(timer *t)
{
    logfile *f = container_of(t, logfile, timer);
    job_wake(f->l, &f->job);
}

static logfile *file_find(const char *path)
{
    LIST_EACH(it, &files)
    {
        logfile *f = list_item(it, logfile, node);
        if (strcmp(f->path, path) == 0) {
            return f;
        }
    }
    return NULL;
}

static logfile *file_open(loop *l, const char *path)
{
    logfile *f = file_find(path);
    if (f) {
        f->refs++;
        f->l = l;
        return f;
    }
    int fd = file_fd(path);
    if (fd < 0) {
        return NULL;
    }
    f = malloc(sizeof *f);
    REQUIRE(f != NULL);
    memset(f, 0, offsetof(logfile, buf));
    f->path = strdup(path);
    REQUIRE(f->path != NULL);
    f->fd = fd;
    f->refs = 1;
    f->l = l;
    f->may_block = fd_may_block(fd);
    timer_init(&f->timer, on_timer);
    job_init(&f->job, on_flush);
    list_push_back(&files, &f->node);
    return f;
}

static void file_close(logfile *f)
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
    free(f);
}

/* ---- lines */

/* As nginx writes them: quotes, backslashes and what is not printable ASCII as \xHH. */
static void put_escaped(fmt *f, str s)
{
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            continue;
        }
        const char hex[4] = {'\\', 'x', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
        fmt_bytes(f, s.p + plain, i - plain);
        fmt_bytes(f, hex, sizeof hex);
        plain = i + 1;
    }
    fmt_bytes(f, s.p + plain, s.n - plain);
}

static void put_part(str part, bool is_value, void *arg)
{
    fmt *f = arg;
    if (!is_value) {
        fmt_put(f, part);
    } else if (!part.p) {
        fmt_char(f, '-');
    } else {
        put_escaped(f, part);
    }
}

static void json_text(fmt *f, str name, str value)
{
    if (!value.n) {
        return;
    }
    fmt_put(f, STR(",\""));
    fmt_put(f, name);
    fmt_put(f, STR("\":\""));
    fmt_json(f, value.n > FIELD_MAX ? str_of(value.p, FIELD_MAX) : value);
    fmt_char(f, '"');
}

static void json_number(fmt *f, str name, uint64_t v)
{
    fmt_put(f, STR(",\""));
    fmt_put(f, name);
    fmt_put(f, STR("\":"));
    fmt_u64(f, v);
}

static void json_time(fmt *f)
{
    static int64_t second;
    static char text[32]; /* up to the seconds */
    int64_t ms = clock_wall_ms();
    if (ms / 1000 != second || !text[0]) {
        second = ms / 1000;
        time_t t = (time_t)second;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    }
    fmt_put(f, STR("{\"time\":\""));
    fmt_put(f, str_c(text));
    char tail[6] = {
        '.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z',
        '"'};
    fmt_bytes(f, tail, sizeof tail);
}

static void json_address(fmt *f, const req *r)
{
    char text[ADDR_TEXT_MAX];
    json_text(f, STR("client"), str_of(text, addr_print_ip(&r->client.addr, text, sizeof text)));
    if (!addr_eq(&r->client.addr, &r->client.peer)) {
        json_text(f, STR("peer"), str_of(text, addr_print_ip(&r->client.peer, text, sizeof text)));
    }
}

static void json_upstream(fmt *f, req *r)
{
    if (!r->nattempts) {
        return;
    }
    json_text(f, STR("upstream"), var_get_upstream_addr(r, STR_EMPTY));
    json_text(f, STR("upstream_status"), var_get_upstream_status(r, STR_EMPTY));
    json_text(f, STR("upstream_time"), var_get_upstream_response_time(r, STR_EMPTY));
}

static str field_of(const req *r, enum token t)
{
    const field *f = headers_find(&r->in.h, t);
    return f ? f->value : STR_EMPTY;
}

static void write_json(fmt *f, req *r)
{
    json_time(f);
    fmt_put(f, STR(",\"id\":\""));
    fmt_hex(f, r->id);
    fmt_char(f, '"');
    json_address(f, r);
    json_text(f, STR("method"), r->in.method_name);
    json_text(f, STR("scheme"), r->client.tls ? STR("https") : STR("http"));
    json_text(f, STR("host"), r->host);
    json_text(f, STR("uri"), var_get_request_uri(r, STR_EMPTY));
    json_text(f, STR("protocol"), var_get_server_protocol(r, STR_EMPTY));
    json_number(f, STR("status"), r->client_gone && !r->head_sent ? 499 : r->res.status);
    json_number(f, STR("bytes"), r->sent_head + r->sent_body);
    fmt_put(f, STR(",\"request_time\":"));
    fmt_milli(f, r->end_us > r->start_us ? (r->end_us - r->start_us) / 1000 : 0);
    json_upstream(f, r);
    json_text(f, STR("route"), r->route ? r->route->c->label : STR_EMPTY);
    json_text(f, STR("user_agent"), field_of(r, TOKEN_USER_AGENT));
    json_text(f, STR("referer"), field_of(r, TOKEN_REFERER));
    json_text(f, STR("error"), var_get_error(r, STR_EMPTY));
    fmt_char(f, '}');
}

void access_log_write(access_log *a, req *r)
{
    logfile *file = a->file;
    if (BUFFER - file->n < FLUSH_AT + 1) { /* a pipe that nobody reads */
        stats_add(STAT_LOG_LINES_LOST, 1);
        return;
    }
    fmt f = fmt_of(file->buf + file->n, BUFFER - 1 - file->n);
    if (a->line) {
        tmpl_each(a->line, r, put_part, &f);
    } else {
        write_json(&f, r);
    }
    if (f.cut && !a->line) {
        stats_add(STAT_LOG_LINES_LOST, 1); /* half an object would break every reader */
        return;
    }
    *f.p++ = '\n'; /* the byte kept back above */
    bool first = file->n == 0;
    file->n = (size_t)(f.p - file->buf);
    if (file->n >= FLUSH_AT) {
        flush(file);
    } else if (first && file->l) {
        timer_set(file->l, &file->timer, FLUSH_MS);
    }
}

/* ---- life */

/* The template, or NULL for JSON; < 0 when it is bad. */
static int compile_line(const struct conf_log *c, pool *p, tmpl **out, char *err, size_t errcap)
{
    *out = NULL;
    if (c->format == 0) {
        return 0;
    }
    char why[200];
    *out = tmpl_compile(c->template.p ? c->template : STR_EMPTY, p, why, sizeof why);
    if (!*out) {
        snprintf(err, errcap, "access log %.*s: %s", STR_ARG(c->path), why);
        return ERR_CONF;
    }
    return 0;
}

int access_log_check(const struct conf_log *c, char *err, size_t errcap)
{
    pool scratch;
    pool_init(&scratch, 1024);
    tmpl *line;
    int rc = compile_line(c, &scratch, &line, err, errcap);
    pool_fini(&scratch);
    if (rc == 0 && !c->path.n) {
        snprintf(err, errcap, "access log: no path");
        rc = ERR_CONF;
    }
    return rc;
}

access_log *access_log_open(loop *l, const struct conf_log *c, pool *p, char *err, size_t errcap)
{
    tmpl *line;
    if (compile_line(c, p, &line, err, errcap) < 0) {
        return NULL;
    }
    logfile *file = file_open(l, c->path.p);
    if (!file) {
        snprintf(err, errcap, "access log %.*s: %s", STR_ARG(c->path), strerror(errno));
        return NULL;
    }
    access_log *a = pool_zalloc(p, sizeof *a);
    a->file = file;
    a->line = line;
    return a;
}

void access_log_close(access_log *a)
{
    if (a && a->file) {
        file_close(a->file);
        a->file = NULL;
    }
}

bool access_log_uses_connection(const access_log *a)
{
    return a->line && tmpl_uses_connection(a->line);
}

void access_log_flush_all(void)
{
    LIST_EACH(it, &files)
    {
        flush(list_item(it, logfile, node));
    }
}

void access_log_reopen_all(void)
{
    LIST_EACH(it, &files)
    {
        logfile *f = list_item(it, logfile, node);
        flush(f); /* what was written before the rotation belongs to the old file */
        int fd = strcmp(f->path, "-") == 0 ? -1 : file_fd(f->path);
        if (fd >= 0) {
            close(f->fd);
            f->fd = fd;
            f->may_block = fd_may_block(fd);
        } else if (strcmp(f->path, "-") != 0) {
            log_error("access log %s: cannot reopen: %s; the old file is kept", f->path,
                      strerror(errno));
        }
    }
}

static void file_switch(logfile *f, int fd)
{
    flush(f); /* what was written before belongs to the old file */
    close(f->fd);
    f->fd = fd;
    f->may_block = fd_may_block(fd);
}

void access_log_adopt(const char *path, int fd)
{
    logfile *f = file_find(path);
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
