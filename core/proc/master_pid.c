/* master_pid.c — see master_pid.h. */
#include "proc/master_pid.h"

#include "base/err.h"
#include "base/log.h"
#include "proc/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int master_pid_write(master *m)
{
    const char *said = m->sum.pid.n ? m->sum.pid.p : NULL;
    const char *path = m->options.pid && !(m->sum.nginx && said) ? m->options.pid : said;
    if (!path || (m->pid_file && strcmp(path, m->pid_file) == 0)) {
        return 0;
    }
    int rc = daemon_pid_write(path);
    if (rc == ERR_NOT_FOUND && !said) {
        return 0; /* nginx's default folder is not there: nobody will look for it */
    }
    if (rc < 0) {
        log_error("cannot write the pid file \"%s\": %s", path, strerror(errno));
        return rc;
    }
    if (m->pid_file) {
        daemon_pid_remove(m->pid_file);
        free(m->pid_file);
    }
    m->pid_file = strdup(path);
    return 0;
}

void master_pid_rename(master *m, bool away)
{
    char to[4096];
    size_t n = m->pid_file ? strlen(m->pid_file) : 0;
    if (n == 0) {
        return;
    }
    int len = snprintf(to, sizeof to, "%.*s%s", (int)(away ? n : n - strlen(".oldbin")), m->pid_file, away ? ".oldbin" : "");
    if (len < 0 || len >= (int)sizeof to || rename(m->pid_file, to) < 0) {
        log_alert("cannot rename \"%s\": %s", m->pid_file, strerror(errno));
        return;
    }
    free(m->pid_file);
    m->pid_file = strdup(to);
}
