/* master_pid.h — the pid file of the master. */
#ifndef PROC_MASTER_PID_H
#define PROC_MASTER_PID_H

#include "proc/master.h"

/* Writes the file that the configuration or the command line names, and removes the one of before. 0, or ERR_*, which is logged; errno is kept. */
int master_pid_write(master *m);
/* Away: a process that another one takes over from gives its file another name, until that one has ended. */
void master_pid_rename(master *m, bool away);

#endif
