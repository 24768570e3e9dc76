/* logs.c — see logs.h. */
#include "proc/logs.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"

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

static int logs_open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

int logs_open(logs *t, const char *path)
{
    if (!path || !*path || strcmp(path, "-") == 0 || logs_entry(t, path)) {
        return 0;
    }
    int fd = logs_open_file(path);
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
