/* master_logs.h — the log files of the master: opened for a configuration, handed to the workers, opened anew. */
#ifndef PROC_MASTER_LOGS_H
#define PROC_MASTER_LOGS_H

#include "proc/master.h"

/* Opens the log files of a configuration and sends new ones to the workers. 0, or ERR_* with a text in err. */
MUST_USE int master_logs_open(master *m, const summary *sum, char *err, size_t errcap);
/* Closes those that the committed configuration does not name. */
void master_logs_keep(master *m);
/* The master's own lines go to the error log of the committed configuration. */
void master_logs_use(master *m);
/* All files anew, here and in the workers. */
void master_logs_reopen(master *m);

/* One entry for each line of the text. */
void master_logs_write(enum log_level level, str text);
/* Is a line to stderr seen only there? */
bool master_logs_to_stderr(const master *m);

#endif
