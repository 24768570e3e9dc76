/* users.c — see users.h. */
#include "flow/users.h"

#include "base/err.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void map_cleanup(void *arg)
{
    map_fini(arg);
}

/* False: no user stands in this line. */
static bool read_line(str line, str *name, str *stored)
{
    str rest = line;
    if (!rest.n || rest.p[0] == '#' || !str_split(&rest, ':', name) || name->n == line.n) {
        return false;
    }
    *stored = str_of(rest.p, str_find(rest, ':', 0));
    stored->n = str_find(*stored, '\r', 0);
    return true;
}

const map *users_of(pool *p, str text)
{
    map *m = pool_alloc(p, sizeof *m);
    map_init(m);
    pool_on_fini(p, map_cleanup, m);
    str line, name, stored;
    while (str_split(&text, '\n', &line)) {
        if (read_line(line, &name, &stored) && !map_get(m, name)) {
            map_put(m, pool_dup(p, name), pool_cstr(p, stored));
        }
    }
    return m;
}

int users_find(str text, str name, str *stored)
{
    str line, found;
    while (str_split(&text, '\n', &line)) {
        if (read_line(line, &found, stored) && str_eq(found, name)) {
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

static int read_all(int fd, pool *p, str *text)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        return ERR_IO;
    }
    if (st.st_size > USERS_FILE_MAX) {
        return ERR_LIMIT;
    }
    char *room = pool_try_alloc(p, (size_t)st.st_size + 1, SIZE_MAX);
    ssize_t n = room ? pread(fd, room, (size_t)st.st_size, 0) : -1;
    *text = str_of(room, n > 0 ? (size_t)n : 0);
    return n < 0 ? ERR_IO : 0;
}

int users_read(const char *path, pool *p, str *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    }
    int rc = read_all(fd, p, text);
    close(fd);
    return rc;
}
