/* signal.c — signals and foreign descriptors as loop events. Few per process, so each watch is its own allocation. */
#include "net/signal.h"

#include "net/loop_impl.h"

#include <stdlib.h>

struct signal_watch {
    struct event ev;
    loop *l;
    void (*fn)(int signum, void *arg);
    void *arg;
};

struct fd_watch {
    struct event ev;
    loop *l;
    void (*fn)(int fd, void *arg);
    void *arg;
};

/* The callback may stop its own watch, so nothing of it is read afterwards. */
static void on_signal(evutil_socket_t signum, short what, void *arg)
{
    signal_watch *w = arg;
    loop *l = w->l;
    (void)what;
    loop_enter(l);
    w->fn(signum, w->arg);
    loop_drain(l);
}

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
    fd_watch *w = arg;
    loop *l = w->l;
    (void)what;
    loop_enter(l);
    w->fn(fd, w->arg);
    loop_drain(l);
}

signal_watch *signal_start(loop *l, int signum, void (*fn)(int signum, void *arg), void *arg)
{
    signal_watch *w = malloc(sizeof *w);
    if (!w) {
        return NULL;
    }
    w->l = l;
    w->fn = fn;
    w->arg = arg;
    event_assign(&w->ev, l->base, signum, EV_SIGNAL | EV_PERSIST, on_signal, w);
    if (event_add(&w->ev, NULL) < 0) {
        free(w);
        return NULL;
    }
    return w;
}

void signal_stop(signal_watch *w)
{
    if (w) {
        event_del(&w->ev);
        free(w);
    }
}

fd_watch *fd_watch_start(loop *l, int fd, void (*fn)(int fd, void *arg), void *arg)
{
    fd_watch *w = malloc(sizeof *w);
    if (!w) {
        return NULL;
    }
    w->l = l;
    w->fn = fn;
    w->arg = arg;
    event_assign(&w->ev, l->base, fd, EV_READ | EV_PERSIST, on_fd, w);
    if (event_add(&w->ev, NULL) < 0) {
        free(w);
        return NULL;
    }
    return w;
}

void fd_watch_stop(fd_watch *w)
{
    if (w) {
        event_del(&w->ev);
        free(w);
    }
}
