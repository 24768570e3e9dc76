/* watch.h — notices changed files of the configuration (inotify on their folders, so that editors
 * that replace a file are seen too) and says so once things have been quiet for a moment.
 * Certificate files are always watched; the rest with --watch. */
#ifndef PROC_WATCH_H
#define PROC_WATCH_H

#include "net/loop.h"
#include "proc/bundle.h"
#include "proc/summary.h"

typedef struct watch watch;

enum watch_what { WATCH_CERTS = 1, WATCH_FILES = 2 };

typedef void watch_fn(void *arg, unsigned what); /* bits of watch_what */

/* NULL when the system has no inotify left (logged). */
MUST_USE watch *watch_open(loop *l, watch_fn *fn, void *arg);
void watch_close(watch *w);
/* Now watch the files of this generation: all of them, or the certificates only. */
void watch_follow(watch *w, const bundle *b, const summary *sum, bool all);

#endif
