/* priv.c — see priv.h. Every step of the drop is checked, and that root cannot be had back is
 * tested: a worker that kept it would be worse than none. */
#include "proc/priv.h"

#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static int priv_find_user(const char *name, priv *out, char *err, size_t errcap)
{
    struct passwd *pw = getpwnam(name);
    if (!pw) {
        snprintf(err, errcap, "user \"%s\" does not exist", name);
        return ERR_CONF;
    }
    out->uid = pw->pw_uid;
    out->gid = pw->pw_gid;
    return 0;
}

int priv_resolve(str user, str group, priv *out, char *err, size_t errcap)
{
    *out = (priv){.uid = geteuid(), .gid = getegid()};
    snprintf(out->user, sizeof out->user, "%.*s", STR_ARG(user));
    if (geteuid() != 0) {
        if (user.n > 0) {
            log_warn("user \"%s\" is ignored: the master does not run as root", out->user);
        }
        return 0;
    }
    if (user.n == 0) {
        snprintf(out->user, sizeof out->user, "nobody");
    }
    int rc = priv_find_user(out->user, out, err, errcap);
    if (rc == 0 && group.n > 0) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", STR_ARG(group));
        struct group *gr = getgrnam(name);
        if (!gr) {
            snprintf(err, errcap, "group \"%s\" does not exist", name);
            return ERR_CONF;
        }
        out->gid = gr->gr_gid;
    }
    out->change = rc == 0 && (out->uid != 0 || out->gid != 0);
    return rc;
}

bool priv_eq(const priv *a, const priv *b)
{
    return a->change == b->change && a->uid == b->uid && a->gid == b->gid;
}

static int priv_failed(const char *what)
{
    log_alert("cannot drop privileges: %s: errno %d", what, errno);
    return ERR_IO;
}

int priv_drop(const priv *p)
{
    if (p->change) {
        if (initgroups(p->user, p->gid) < 0) {
            return priv_failed("initgroups");
        }
        if (setresgid(p->gid, p->gid, p->gid) < 0) {
            return priv_failed("setresgid");
        }
        if (setresuid(p->uid, p->uid, p->uid) < 0) {
            return priv_failed("setresuid");
        }
        if (p->uid != 0 && setresuid((uid_t)-1, 0, (uid_t)-1) == 0) {
            return priv_failed("root could be had back");
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return priv_failed("no_new_privs");
    }
    return 0;
}
