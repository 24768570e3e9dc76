/* tempfile.c — see tempfile.h. Writes are synchronous: they go to the page cache. */
#include "flow/tempfile.h"

#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

void tempfile_init(tempfile *t)
{
    *t = (tempfile){NULL, 0};
}

void tempfile_fini(tempfile *t)
{
    if (t->file) {
        fileref_unref(t->file);
        t->file = NULL;
    }
}

static int open_unlinked(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return fd;
    }
    char path[4096];
    if (snprintf(path, sizeof path, "%s/moongate.XXXXXX", dir) >= (int)sizeof path) {
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

static int open_in(tempfile *t, str dir)
{
    const char *env = getenv("TMPDIR");
    const char *where = dir.n ? dir.p : env && *env ? env : "/tmp";
    int fd = open_unlinked(where);
    if (fd < 0 && errno == ENOENT && mkdir(where, 0700) == 0) {
        fd = open_unlinked(where);
    }
    if (fd < 0) {
        log_error("cannot make a temporary file in %s: errno %d", where, errno);
        return ERR_IO;
    }
    t->file = fileref_new(fd);
    return 0;
}

int tempfile_open_named(tempfile *t, str dir, pool *p, str *name)
{
    const char *env = getenv("TMPDIR");
    str where = dir.n ? dir : str_c(env && *env ? env : "/tmp");
    str path = pool_printf(p, "%.*s/body.XXXXXX", STR_ARG(where));
    int fd = mkostemp((char *)(uintptr_t)path.p, O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && mkdir(pool_cstr(p, where), 0700) == 0) {
        path = pool_printf(p, "%.*s/body.XXXXXX", STR_ARG(where));
        fd = mkostemp((char *)(uintptr_t)path.p, O_CLOEXEC);
    }
    if (fd < 0) {
        log_error("cannot make a file in %.*s: errno %d", STR_ARG(where), errno);
        return ERR_IO;
    }
    t->file = fileref_new(fd);
    *name = path;
    return 0;
}

int tempfile_name(tempfile *t, str dir, pool *p, str *name)
{
    const char *env = getenv("TMPDIR");
    str where = dir.n ? dir : str_c(env && *env ? env : "/tmp");
    str path = pool_printf(p, "%.*s/body.%016llx", STR_ARG(where), (unsigned long long)rand_u64());
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", t->file->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, path.p, AT_SYMLINK_FOLLOW) < 0) {
        return ERR_IO;
    }
    *name = path;
    return 0;
}

/* Up to 64 memory slices with one call. */
static ssize_t write_some(tempfile *t, const bufq *from)
{
    struct iovec v[64];
    int n = 0;
    for (; n < 64 && (uint32_t)n < from->n; n++) {
        const slice *s = bufq_at(from, (uint32_t)n);
        if (!s->p) {
            break;
        }
        v[n] = (struct iovec){.iov_base = (void *)(uintptr_t)s->p, .iov_len = s->n};
    }
    return pwritev(t->file->fd, v, n, t->size);
}

int tempfile_append(tempfile *t, str dir, bufq *from, bufq *to)
{
    if (!t->file && open_in(t, dir) < 0) {
        return ERR_IO;
    }
    while (!bufq_is_empty(from)) {
        if (!bufq_at(from, 0)->p) { /* already in a file: passes as it is */
            (void)bufq_move_n(to, from, bufq_at(from, 0)->n);
            continue;
        }
        ssize_t n = write_some(t, from);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            log_error("cannot write a temporary file: errno %d", errno);
            return ERR_IO;
        }
        bufq_push_file(to, t->file, t->size, (size_t)n);
        bufq_drop(from, (size_t)n);
        t->size += n;
    }
    return 0;
}
