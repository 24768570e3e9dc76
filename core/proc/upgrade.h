/* upgrade.h — another binary takes over while connections go on: the master executes itself again (USR2), and the new process finds the
 * listening sockets where the environment says. Both run until the old one is told to quit, or the new one if it is no good. */
#ifndef PROC_UPGRADE_H
#define PROC_UPGRADE_H

#include "proc/ports.h"

#include <sys/types.h>

/* At the start: the command line to repeat (borrowed for good), and what the environment hands over. */
void upgrade_remember(char **argv);
/* Did an older process start this one? */
bool upgrade_is_heir(void);
/* Does that older process still run? Then the files of unix sockets are its too. */
bool upgrade_has_elder(void);
/* The sockets handed over; only once. */
void upgrade_inherit(ports *p);
/* Executes the binary with these sockets. Its pid, or ERR_*; errno is kept. */
MUST_USE pid_t upgrade_start(const ports *p);

#endif
