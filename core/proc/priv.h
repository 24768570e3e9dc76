/* priv.h — who the workers are: user and group resolved in the master, taken on in the worker for
 * good. */
#ifndef PROC_PRIV_H
#define PROC_PRIV_H

#include "base/str.h"

#include <sys/types.h>

typedef struct priv {
    bool change; /* the worker takes on uid and gid; false: it stays what the master is */
    uid_t uid;
    gid_t gid;
    char user[64];
} priv;

/* Empty user: "nobody" when started as root, else no change. Empty group: the user's. Not root: no
 * change, with a warning when a user was asked for. 0, or ERR_CONF with a text in err. */
MUST_USE int priv_resolve(str user, str group, priv *out, char *err, size_t errcap);
bool priv_eq(const priv *a, const priv *b);
/* In the worker: groups, gid, uid; then no new privileges. 0 or ERR_IO (logged). */
MUST_USE int priv_drop(const priv *p);

#endif
