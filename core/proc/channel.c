/* channel.c — one sendmsg or recvmsg per message. What arrives comes from a process of ours, but
 * that process may have been corrupted: lengths and types are checked, a message that does not hold
 * together ends the channel. */
#include "proc/channel.h"

#include "base/err.h"
#include "base/log.h"
#include "net/signal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct channel {
    int fd;
    fd_watch *watch;
    channel_user user;
    bool busy;  /* inside a callback */
    bool ended; /* closed by the user or by the other side: no more callbacks */
    bool closed;
};

struct channel_head {
    uint32_t type, length;
    uint64_t generation;
    int64_t arg;
};

enum { CHANNEL_BATCH = 32 };

const char *channel_type_name(enum channel_type type)
{
    static const char *const names[CHANNEL_TYPES] = {
        [CHANNEL_LISTENER] = "listener", [CHANNEL_SEGMENT] = "segment",
        [CHANNEL_PREPARE] = "prepare",   [CHANNEL_COMMIT] = "commit",
        [CHANNEL_DISCARD] = "discard",   [CHANNEL_SETTLE] = "settle",
        [CHANNEL_QUIT] = "quit",         [CHANNEL_LOG] = "log",
        [CHANNEL_STATUS] = "status",     [CHANNEL_UPSTREAMS] = "upstreams",
        [CHANNEL_READY] = "ready",
        [CHANNEL_DONE] = "done",         [CHANNEL_FAILED] = "failed",
    };
    return type > 0 && type < CHANNEL_TYPES && names[type] ? names[type] : "unknown";
}

int channel_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return err_from_errno(errno);
    }
    return 0;
}

static int channel_take_fd(struct msghdr *mh)
{
    int fd = -1;
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
        if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
            cm->cmsg_len >= CMSG_LEN(sizeof(int))) {
            memcpy(&fd, CMSG_DATA(cm), sizeof fd);
        }
    }
    return fd;
}

/* One message into `head`, `text`, `fd`. 1 for a message, ERR_AGAIN, ERR_EOF or another error. */
static int channel_receive(channel *c, struct channel_head *head, char *text, int *fd)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec v[2] = {{head, sizeof *head}, {text, CHANNEL_TEXT_MAX}};
    struct msghdr mh = {
        .msg_iov = v, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : err_from_errno(errno);
    }
    *fd = channel_take_fd(&mh);
    if (n == 0) {
        return ERR_EOF;
    }
    if ((size_t)n < sizeof *head || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        head->length != (size_t)n - sizeof *head || head->type == 0 ||
        head->type >= CHANNEL_TYPES) {
        log_alert("channel: a message that does not hold together, %zd bytes", n);
        if (*fd >= 0) {
            close(*fd);
        }
        return ERR_INVALID;
    }
    return 1;
}

static void channel_destroy(channel *c)
{
    if (c->watch) {
        fd_watch_stop(c->watch);
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    free(c);
}

static void channel_on_readable(int fd, void *arg)
{
    (void)fd;
    channel *c = arg;
    char text[CHANNEL_TEXT_MAX];
    c->busy = true;
    for (int i = 0; i < CHANNEL_BATCH && !c->ended; i++) {
        struct channel_head head;
        int got = -1;
        int rc = channel_receive(c, &head, text, &got);
        if (rc == ERR_AGAIN) {
            break;
        }
        if (rc < 0) {
            c->ended = true;
            fd_watch_stop(c->watch);
            c->watch = NULL;
            c->user.on_end(c->user.arg);
            break;
        }
        channel_msg m = {
            (enum channel_type)head.type, got, head.generation, head.arg, {text, head.length}};
        c->user.on_msg(c->user.arg, &m);
    }
    c->busy = false;
    if (c->closed) {
        channel_destroy(c);
    }
}

channel *channel_open(loop *l, int fd, const channel_user *user)
{
    channel *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return NULL;
    }
    c->fd = fd;
    c->user = *user;
    c->watch = fd_watch_start(l, fd, channel_on_readable, c);
    if (!c->watch) {
        channel_destroy(c);
        return NULL;
    }
    return c;
}

void channel_close(channel *c)
{
    if (!c || c->closed) {
        return;
    }
    c->closed = c->ended = true;
    if (!c->busy) {
        channel_destroy(c);
    }
}

int channel_send(channel *c, const channel_msg *m)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    size_t length = m->text.n > CHANNEL_TEXT_MAX ? CHANNEL_TEXT_MAX : m->text.n;
    struct channel_head head = {(uint32_t)m->type, (uint32_t)length, m->generation, m->arg};
    struct iovec v[2] = {{&head, sizeof head}, {NULL, length}};
    memcpy(&v[1].iov_base, &m->text.p,
           sizeof v[1].iov_base); /* sendmsg does not write; iovec cannot say so */
    struct msghdr mh = {.msg_iov = v, .msg_iovlen = length ? 2 : 1};
    if (m->fd >= 0) {
        memset(&control, 0, sizeof control);
        mh.msg_control = &control;
        mh.msg_controllen = sizeof control;
        struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cm), &m->fd, sizeof(int));
    }
    if (c->ended) {
        return ERR_EOF;
    }
    ssize_t n = sendmsg(c->fd, &mh, MSG_NOSIGNAL);
    if (n < 0) {
        return errno == EAGAIN ? ERR_AGAIN : err_from_errno(errno);
    }
    return 0;
}
