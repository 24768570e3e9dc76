/* logs.c — see logs.h. */
#include "proc/logs.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void logs_init(logs *t)
{
    *t = (logs){{NULL, 0, 0}};
}

void logs_fini(logs *t)
{
    logs_keep(t, NULL, 0);
    vec_fini(&t->all);
}

static logs_file *logs_entry(const logs *t, const char *path)
{
    for (uint32_t i = 0; i < t->all.n; i++) {
        if (strcmp(t->all.v[i].path, path) == 0) {
            return &t->all.v[i];
        }
    }
    return NULL;
}

static bool logs_is_file(const char *path)
{
    return path && *path && strcmp(path, "-") != 0 && strcmp(path, "stderr") != 0;
}

static int logs_open_file(const char *path)
{
    if (syslog_is(str_c(path))) {
        return syslog_open(str_c(path));
    }
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

int logs_open(logs *t, const char *path)
{
    if (!logs_is_file(path) || logs_entry(t, path)) {
        return 0;
    }
    int fd = logs_open_file(path);
    if (fd < 0 && syslog_is(str_c(path))) {
        log_warn("cannot reach \"%s\": %s", path, strerror(errno));
        return 0;
    }
    if (fd < 0) {
        return err_from_errno(errno);
    }
    logs_adopt(t, str_c(path), fd);
    return 1;
}

void logs_reopen(logs *t)
{
    for (uint32_t i = 0; i < t->all.n; i++) {
        logs_file *f = &t->all.v[i];
        int fd = logs_open_file(f->path);
        if (fd < 0) {
            log_error("cannot reopen \"%s\": %s; the old file is kept", f->path, strerror(errno));
            continue;
        }
        close(f->fd);
        f->fd = fd;
    }
}

void logs_adopt(logs *t, str path, int fd)
{
    char *z = strndup(path.p, path.n);
    REQUIRE(z);
    logs_file *f = logs_entry(t, z);
    if (f) {
        close(f->fd);
        f->fd = fd;
        free(z);
        return;
    }
    logs_file one = {z, fd, false};
    vec_push(&t->all, one);
}

int logs_find(const logs *t, const char *path)
{
    const logs_file *f = path ? logs_entry(t, path) : NULL;
    return f ? f->fd : -1;
}

void logs_keep(logs *t, const char *const *paths, int n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->all.n; i++) {
        logs_file *f = &t->all.v[i];
        f->wanted = false;
        for (int k = 0; k < n && !f->wanted; k++) {
            f->wanted = paths[k] && strcmp(paths[k], f->path) == 0;
        }
        if (f->wanted) {
            t->all.v[kept++] = *f;
        } else {
            close(f->fd);
            free(f->path);
        }
    }
    t->all.n = kept;
}

const char *logs_fallback(const summary *s, const char *fallback)
{
    for (uint32_t i = 0; i < s->error_logs.n; i++) {
        if (s->error_logs.v[i].own) {
            return NULL;
        }
    }
    return fallback;
}

static void logs_give(const logs *t, const char *path)
{
    if (logs_is_file(path)) {
        int fd = logs_find(t, path);
        log_destination_adopt(log_destination_of(str_c(path)), fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3));
    }
}

void logs_use_errors(const logs *t, const summary *s, const char *fallback)
{
    struct log_sink sinks[LOG_SET_MAX];
    log_set set = {sinks, 0, LOG_EMERG_};
    for (uint32_t i = 0; i < s->error_logs.n; i++) {
        const summary_errlog *e = &s->error_logs.v[i];
        logs_give(t, e->path.p);
        if (e->own && set.n < LOG_SET_MAX) {
            sinks[set.n++] = (struct log_sink){log_destination_of(e->path), (enum log_level)e->level};
            set.lowest = (enum log_level)e->level < set.lowest ? (enum log_level)e->level : set.lowest;
        }
    }
    if (set.n == 0) {
        const char *name = logs_is_file(fallback) ? fallback : "stderr";
        logs_give(t, name);
        sinks[set.n++] = (struct log_sink){log_destination_of(str_c(name)), (enum log_level)s->error_level};
        set.lowest = (enum log_level)s->error_level;
    }
    log_set_style(s->nginx ? LOG_STYLE_NGINX : LOG_STYLE_NATIVE);
    log_use(&set);
}

void logs_keep_of(logs *t, const summary *s, const char *fallback)
{
    uint32_t n = 0, most = s->access_logs.n + s->optional_logs.n + s->error_logs.n + 1;
    const char **paths = calloc(most, sizeof *paths);
    REQUIRE(paths);
    for (uint32_t i = 0; i < s->access_logs.n; i++) {
        paths[n++] = s->access_logs.v[i].p;
    }
    for (uint32_t i = 0; i < s->optional_logs.n; i++) {
        paths[n++] = s->optional_logs.v[i].p;
    }
    for (uint32_t i = 0; i < s->error_logs.n; i++) {
        paths[n++] = s->error_logs.v[i].path.p;
    }
    paths[n++] = logs_fallback(s, fallback);
    logs_keep(t, paths, (int)n);
    free(paths);
}
