/* client.h — the commands that talk to a running gateway over its admin socket. */
#ifndef PROC_CLIENT_H
#define PROC_CLIENT_H

#include "proc/command.h"

/* status, reload, stop, -s: the exit status. */
int client_run(const command *c);

#endif
