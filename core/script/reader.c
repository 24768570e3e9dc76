/* reader.c — the plain reader: the disk and the process' environment. */
#include "script/reader.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024 * 1024, HOST_ADDRS_MAX = 16 };

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

/* Addresses as the system finds them, each once, separated by spaces. */
static int disk_host(str name, pool *p, str *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
    char text[HOST_ADDRS_MAX * INET6_ADDRSTRLEN];
    size_t n = 0;
    int rc = getaddrinfo(pool_cstr(p, name), NULL, &hints, &all);
    for (const struct addrinfo *a = all; a && n < sizeof text - INET6_ADDRSTRLEN - 1; a = a->ai_next) {
        rc = getnameinfo(a->ai_addr, a->ai_addrlen, text + n, INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST);
        n += rc == 0 ? strlen(text + n) : 0;
        text[n++] = ' ';
    }
    if (all) {
        freeaddrinfo(all);
    }
    *out = n ? pool_dup(p, str_of(text, n)) : STR("no such host");
    return n ? 0 : ERR_NOT_FOUND;
}

static int disk_env(void *arg, str name, pool *p, str *out)
{
    (void)arg;
    if (str_has_prefix(name, STR("host:"))) {
        return disk_host(str_from(name, 5), p, out);
    }
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
