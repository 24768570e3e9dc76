/* syslog.h — a syslog server as a place for lines: one datagram each, to a unix or UDP socket (RFC 3164, as log daemons on the same host
 * expect it). A name is "syslog:server=ADDRESS[,facility=WORD][,tag=WORD][,severity=WORD][,nohostname]". */
#ifndef BASE_SYSLOG_H
#define BASE_SYSLOG_H

#include "base/attr.h"
#include "base/str.h"

bool syslog_is(str name);
/* 0, or ERR_CONF with a reason in err. */
MUST_USE int syslog_check(str name, char *err, size_t errcap);
/* A connected socket that never blocks, or ERR_*; errno is kept. */
MUST_USE int syslog_open(str name);
/* What comes before a message: "<190>Oct 11 22:14:15 host tag: "; the length. `level` is an enum log_level; -1: the name's own severity. */
size_t syslog_prefix(str name, int level, char *buf, size_t cap);

#endif
