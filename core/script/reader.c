/* reader.c — the plain reader: the disk and the process' environment. */
#include "script/reader.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

static int failed(int errnum, pool *p, str *out)
{
    *out = pool_dup(p, str_c(strerror(errnum)));
    return errnum == ENOENT || errnum == ENOTDIR ? ERR_NOT_FOUND : err_from_errno(errnum);
}

static int read_fd(int fd, pool *p, str *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return failed(errno, p, out);
    }
    if (S_ISDIR(st.st_mode)) {
        return failed(EISDIR, p, out);
    }
    size_t cap = st.st_size > 0 ? (size_t)st.st_size : 65536, n = 0;
    if (cap > FILE_MAX) {
        return failed(EFBIG, p, out);
    }
    char *buf = pool_alloc(p, cap + 1);
    while (n < cap) {
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return failed(errno, p, out);
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    *out = str_of(buf, n);
    return 0;
}

static int disk_read(void *arg, str path, pool *p, str *out)
{
    (void)arg;
    int fd = open(pool_cstr(p, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed(errno, p, out);
    }
    int rc = read_fd(fd, p, out);
    close(fd);
    return rc;
}

static int disk_glob(void *arg, str pattern, pool *p, str *out)
{
    (void)arg;
    glob_t found;
    int rc = glob(pool_cstr(p, pattern), 0, NULL, &found);
    *out = STR_EMPTY;
    if (rc == GLOB_NOMATCH) {
        return 0;
    }
    if (rc != 0) {
        *out = STR("the folder cannot be read");
        return ERR_IO;
    }
    str *parts = pool_alloc(p, 2 * found.gl_pathc * sizeof *parts);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        parts[2 * i] = str_c(found.gl_pathv[i]);
        parts[2 * i + 1] = STR("\n");
    }
    *out = pool_join(p, parts, 2 * found.gl_pathc);
    globfree(&found);
    return 0;
}

static int disk_env(void *arg, str name, pool *p, str *out)
{
    (void)arg;
    const char *value = getenv(pool_cstr(p, name));
    if (!value) {
        *out = STR("not set");
        return ERR_NOT_FOUND;
    }
    *out = pool_dup(p, str_c(value));
    return 0;
}

const struct script_reader script_reader_disk = {
    .read = disk_read, .glob = disk_glob, .env = disk_env};
