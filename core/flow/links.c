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

static int open_by(int dir, const char *name, uint64_t resolve)
{
    struct open_how how = {.flags = FLAGS, .resolve = resolve};
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

static int open_by_owner(int dir, const char *name)
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
        int next = step_by_owner(at, n ? part : ".", last ? FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC);
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

int links_open(const req *r, str path, size_t root_n)
{
    int rule = r->route->c->links;
    if (rule == CONF_LINKS_FOLLOW || root_n == 0 || root_n >= path.n) {
        return open(path.p, FLAGS);
    }
    int dir = open_root(path, root_n);
    if (dir < 0) {
        return -1;
    }
    const char *name = path.p + root_n;
    name += strspn(name, "/");
    name = *name ? name : ".";
    int fd = rule == CONF_LINKS_OWNER  ? open_by_owner(dir, name)
             : rule == CONF_LINKS_NONE ? open_by(dir, name, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
                                       : open_by(dir, name, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    int errnum = errno;
    close(dir);
    errno = errnum;
    return fd;
}
