/* log_file.h — a file that access logs write to, as a worker has it: one buffer per file, whoever writes there; whole lines go out, so that
 * workers share a file with O_APPEND. A log that is a pipe never blocks the worker: what does not fit stays, and when the buffer is full
 * lines are lost and counted. A syslog server (base/syslog.h) gets a datagram per line.
 *
 * The master opens files with its rights and hands descriptors in (log_file_adopt); what it did not open is opened here. */
#ifndef FLOW_LOG_FILE_H
#define FLOW_LOG_FILE_H

#include "base/str.h"

typedef struct log_file log_file;
typedef struct loop loop;

enum { LOG_LINE_MAX = 32 * 1024 };

struct log_file_args {
    const char *path;
    size_t buffer;    /* written when so much is there; 0: at the end of the loop's turn */
    int64_t flush_ms; /* and after this time; 0: only then */
    int gzip;         /* level; 0: as it is */
};

/* Files of the same path are one; the first says how it is buffered. NULL with errno. */
MUST_USE log_file *log_file_open(loop *l, const struct log_file_args *a);
void log_file_close(log_file *f);
/* Where the next line goes: LOG_LINE_MAX bytes; NULL: there is no room (counted). Followed by log_file_take with the line's length,
 * its line end included; 0: none. */
char *log_file_room(log_file *f);
void log_file_take(log_file *f, size_t n);
/* Lines that are not kept back for a buffer to fill go out now. */
void log_file_settle(log_file *f);
/* One line to a path that is opened for it. 0 or ERR_*; errno is kept. */
MUST_USE int log_file_once(const char *path, str line);
/* Its halves: a descriptor, or ERR_*. */
MUST_USE int log_file_once_open(const char *path);
MUST_USE int log_file_once_write(int fd, str line);
void log_file_flush_all(void);
/* USR1. */
void log_file_reopen_all(void);
/* A descriptor of `path` from the master; takes fd. Used when the path is opened, or at once by the file that has it open. */
void log_file_adopt(const char *path, int fd);

#endif
