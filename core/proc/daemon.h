/* daemon.h — what the outside sees of the process: the background fork, the pid file, and messages
 * to systemd. */
#ifndef PROC_DAEMON_H
#define PROC_DAEMON_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Forks; the parent waits until the child calls daemon_ready and exits with that status, so that a
 * failed start is seen by whoever typed it. Returns in the child only. 0 or ERR_*. */
MUST_USE int daemon_start(void);
/* Tells the waiting parent: 0 = up. Then stdin and stdout, and stderr when `keep_stderr` is false,
 * go to /dev/null. Nothing when daemon_start was not called. */
void daemon_ready(int status, bool keep_stderr);

/* Writes our pid (to a file beside it, then renamed). 0 or ERR_*; errno is kept. */
MUST_USE int daemon_pid_write(const char *path);
/* Removes the file if it still names this process. */
void daemon_pid_remove(const char *path);
/* The pid in the file, or 0. */
pid_t daemon_pid_read(const char *path);

/* "READY=1" and friends to $NOTIFY_SOCKET; nothing without one. */
void daemon_notify(const char *state);
/* RELOADING=1 with the clock that Type=notify-reload wants. */
void daemon_notify_reloading(void);

#endif
