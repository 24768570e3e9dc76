/* signal.h — signals as loop events (signalfd-free: libevent's), and an fd watcher for channels and inotify. */
#ifndef NET_SIGNAL_H
#define NET_SIGNAL_H

#include "net/loop.h"

typedef struct signal_watch signal_watch;
/* fn runs like an event callback. */
MUST_USE signal_watch *signal_start(loop *l, int signum, void (*fn)(int signum, void *arg), void *arg);
void signal_stop(signal_watch *w);

typedef struct fd_watch fd_watch;
/* Level-triggered readability of any descriptor. */
MUST_USE fd_watch *fd_watch_start(loop *l, int fd, void (*fn)(int fd, void *arg), void *arg);
void fd_watch_stop(fd_watch *w);

#endif
