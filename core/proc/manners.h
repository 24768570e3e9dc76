/* manners.h — the command line's answers for a configuration in nginx syntax: what tools that drive nginx expect to read. */
#ifndef PROC_MANNERS_H
#define PROC_MANNERS_H

#include "base/log.h"
#include "proc/bundle.h"
#include "proc/command.h"

/* -v; with `verbose` -V: the version of nginx whose behaviour is claimed, and what of it is missing. */
void manners_version(bool verbose, const char *share);
/* Lines go to the error log that -e names from here on, until a configuration names its own. */
void manners_open_log(command *c);
/* A line of diagnostics: its level (untouched when it says none) and the text alone. */
str manners_line(str line, enum log_level *level);
/* Diagnostics of a load, one per line: to stderr and to that log. */
void manners_diagnostics(str text);
/* -t and -T; `b` is NULL when the configuration was refused. The exit status. */
int manners_test(const command *c, const bundle *b);
/* -s: to the process that the pid file names. The exit status. */
int manners_signal(const command *c, const bundle *b);

#endif
