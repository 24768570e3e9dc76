/* listen.c — opens listening sockets and accepts from them in batches.
 *
 * TCP_NODELAY is set on the listening socket: accepted ones inherit it, which saves a call per connection. The listener's event is level-triggered: what a
 * batch leaves behind comes back in the next turn, after the connections already accepted had theirs. */
#include "net/listen.h"

#include "base/err.h"
#include "base/log.h"
#include "net/loop_impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 64, ACCEPT_PAUSE_MS = 100, BACKLOG_DEFAULT = 4096 };

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_options(int fd, const struct listen_args *args)
{
    int family = args->at.sa.sa_family;
    if (family == AF_UNIX) {
        return;
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (args->reuseport) {
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (family == AF_INET6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, args->v6only);
    }
}

/* True when the path is a socket nobody answers on (its owner died); it was removed then. */
static bool remove_stale(const char *path, const struct sockaddr *sa, socklen_t len)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool dead = connect(fd, sa, len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return dead && unlink(path) == 0;
}

static int bind_to(int fd, const addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(at, &ss);
    const struct sockaddr *sa = (const struct sockaddr *)&ss;
    if (bind(fd, sa, len) == 0) {
        return 0;
    }
    if (at->sa.sa_family == AF_UNIX && errno == EADDRINUSE) {
        if (remove_stale(at->unix_path, sa, len)) {
            return bind(fd, sa, len);
        }
        errno = EADDRINUSE;
    }
    return -1;
}

static void learn_port(int fd, addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (at->sa.sa_family != AF_UNIX && getsockname(fd, (struct sockaddr *)&ss, &len) == 0) {
        addr_from_sockaddr(at, (const struct sockaddr *)&ss, len);
    }
}

int listen_open(struct listen_args *args)
{
    int fd = socket(args->at.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    set_options(fd, args);
    if (bind_to(fd, &args->at) < 0 || listen(fd, args->backlog > 0 ? args->backlog : BACKLOG_DEFAULT) < 0) {
        int why = errno;
        close(fd);
        errno = why;
        return err_from_errno(why);
    }
    learn_port(fd, &args->at);
    return fd;
}

static void on_retry(timer *t)
{
    listener *ln = container_of(t, listener, retry);
    ln->paused = false;
    if (event_add(&ln->ev, NULL) < 0) {
        log_error("listen: cannot watch the listening socket again");
    }
}

static void hold(listener *ln, int why)
{
    log_error("listen: accept failed (%s), pausing %d ms", strerror(why), ACCEPT_PAUSE_MS);
    event_del(&ln->ev);
    ln->paused = true;
    timer_set(ln->l, &ln->retry, ACCEPT_PAUSE_MS);
}

/* Errors of the connection that was about to be accepted, not of the listener (accept(2) lists them). */
static bool is_passing(int why)
{
    return why == EINTR || why == ECONNABORTED || why == EPROTO || why == EPERM || why == ENETDOWN ||
           why == ENETUNREACH || why == EHOSTUNREACH || why == EHOSTDOWN || why == ENOPROTOOPT ||
           why == ENONET || why == EOPNOTSUPP;
}

static void accept_batch(listener *ln)
{
    for (int n = 0; n < ACCEPT_BATCH; n++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        int fd = accept4(ln->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN) {
                return;
            }
            if (is_passing(errno)) {
                continue;
            }
            hold(ln, errno);
            return;
        }
        addr peer;
        addr_from_sockaddr(&peer, (const struct sockaddr *)&ss, len);
        ln->on_accept(ln, fd, &peer);
        if (ln->fd < 0 || ln->paused) {
            return; /* stopped by the owner */
        }
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    listener *ln = arg;
    loop *l = ln->l;
    (void)fd;
    (void)what;
    loop_enter(l);
    accept_batch(ln);
    loop_drain(l);
}

int listener_start(listener *ln, loop *l, int fd, void (*on_accept)(listener *, int, const addr *), void *data)
{
    memset(ln, 0, sizeof *ln);
    ln->l = l;
    ln->fd = fd;
    ln->data = data;
    ln->on_accept = on_accept;
    timer_init(&ln->retry, on_retry);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* an inherited socket may lack it; a unix one refuses, which is fine */
    event_assign(&ln->ev, l->base, fd, EV_READ | EV_PERSIST, on_event, ln);
    return event_add(&ln->ev, NULL) < 0 ? ERR_IO : 0;
}

void listener_stop(listener *ln, bool close_fd)
{
    if (ln->fd < 0) {
        return;
    }
    timer_stop(&ln->retry);
    event_del(&ln->ev);
    if (close_fd) {
        close(ln->fd);
    }
    ln->fd = -1;
}
