/* logs.h — log files as descriptors: the master opens them with its rights and hands them to the workers, which may then not even be able to reach the folder. The
 * same table serves both; a rotation (USR1) opens all anew and hands them out again. */
#ifndef PROC_LOGS_H
#define PROC_LOGS_H

#include "proc/summary.h"

typedef struct logs_file {
    char *path; /* owned */
    int fd;
    bool wanted; /* scratch of logs_keep */
} logs_file;

typedef struct logs {
    VEC(logs_file) all;
} logs;

void logs_init(logs *t);
void logs_fini(logs *t);
/* Master: opens it unless it is open; 1 when it was opened now, 0 when it was open, or ERR_* (errno is kept). "-", "stderr" and NULL are never files: 0. A
 * syslog server is opened likewise; one that cannot be reached is no error (logged). */
MUST_USE int logs_open(logs *t, const char *path);
/* Opens every one anew; one that cannot be opened is kept as it is (logged). */
void logs_reopen(logs *t);
/* Worker: one that came over the channel; takes fd, in place of an older one. */
void logs_adopt(logs *t, str path, int fd);
/* The descriptor, or -1. */
int logs_find(const logs *t, const char *path);
/* The error logs of a configuration: the process' own lines go there from now on, and the destinations that routes name get their descriptors. `fallback`
 * (may be NULL: stderr) is used where the configuration names none. */
void logs_use_errors(const logs *t, const summary *s, const char *fallback);
/* Closes all that a configuration does not name. */
void logs_keep_of(logs *t, const summary *s, const char *fallback);
/* The path to open when nothing is named, or NULL. */
const char *logs_fallback(const summary *s, const char *fallback);
/* Closes those that are not among the n paths (NULLs are skipped). */
void logs_keep(logs *t, const char *const *paths, int n);

#endif
