/* links.c — see links.h. The kernel walks the path (openat2), so that nothing can be exchanged between a check and the use. */
#include "flow/links.h"

#include "base/attr.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/req.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, ROOT_MAX = 4096 };

static int open_root(str path, size_t root_n)
{
    char root[ROOT_MAX];
    if (root_n >= sizeof root) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(root, path.p, root_n);
    root[root_n] = '\0';
    return open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_by(int dir, const char *name, int flags, uint64_t resolve)
{
    struct open_how how = {.flags = (uint64_t)flags, .resolve = resolve};
    return (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
}

/* One component after the other; a link must belong to whom its target belongs to. */
static int step_by_owner(int dir, const char *name, int flags)
{
    struct stat link, target;
    if (fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) < 0) {
        return -1;
    }
    if (!S_ISLNK(link.st_mode)) {
        return openat(dir, name, flags | O_NOFOLLOW);
    }
    int fd = openat(dir, name, flags);
    if (fd >= 0 && (fstat(fd, &target) < 0 || target.st_uid != link.st_uid)) {
        close(fd);
        errno = ELOOP;
        return -1;
    }
    return fd;
}

static int open_by_owner(int dir, const char *name, int flags)
{
    int at = dup(dir);
    while (at >= 0) {
        while (*name == '/') {
            name++;
        }
        char part[256];
        size_t n = strcspn(name, "/");
        if (n >= sizeof part) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(part, name, n);
        part[n] = '\0';
        bool last = name[n] == '\0';
        int next = step_by_owner(at, n ? part : ".", last ? flags : O_PATH | O_DIRECTORY | O_CLOEXEC);
        int errnum = errno;
        close(at);
        errno = errnum;
        if (last) {
            return next;
        }
        at = next;
        name += n;
    }
    return -1;
}

static int open_ruled(const req *r, str path, size_t base_n, int flags)
{
    int rule = r->route->c->links;
    if (rule == CONF_LINKS_FOLLOW || base_n == 0 || base_n > path.n) {
        return open(path.p, flags);
    }
    int dir = open_root(path, base_n);
    if (dir < 0) {
        return -1;
    }
    const char *name = path.p + base_n;
    name += strspn(name, "/");
    name = *name ? name : ".";
    int fd = rule == CONF_LINKS_OWNER  ? open_by_owner(dir, name, flags)
             : rule == CONF_LINKS_NONE ? open_by(dir, name, flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
                                       : open_by(dir, name, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    int errnum = errno;
    close(dir);
    errno = errnum;
    return fd;
}

int links_open(const req *r, str path, size_t base_n)
{
    return open_ruled(r, path, base_n, FLAGS);
}

int links_stat(const req *r, str path, size_t base_n, struct stat *st)
{
    if (r->route->c->links == CONF_LINKS_FOLLOW || base_n == 0) {
        return stat(path.p, st);
    }
    int fd = open_ruled(r, path, base_n, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int rc = fstat(fd, st), errnum = errno;
    close(fd);
    errno = errnum;
    return rc;
}
