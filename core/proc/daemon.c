/* daemon.c — see daemon.h. The readiness pipe is the only state: one per process, set once. */
#include "proc/daemon.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int daemon_pipe = -1;

/* The parent's end: the child's verdict, or its exit status when it ended without one. */
static NORETURN void daemon_wait(int fd, pid_t pid)
{
    unsigned char status = 1;
    ssize_t n;
    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    int how = 0;
    if (n != 1 && waitpid(pid, &how, 0) == pid) {
        status = WIFEXITED(how) && WEXITSTATUS(how) != 0 ? (unsigned char)WEXITSTATUS(how) : 1;
    }
    _exit(status);
}

int daemon_start(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return err_from_errno(errno);
    }
    pid_t pid = fork();
    if (pid < 0) {
        return err_from_errno(errno);
    }
    if (pid > 0) {
        close(fds[1]);
        daemon_wait(fds[0], pid);
    }
    close(fds[0]);
    daemon_pipe = fds[1];
    return setsid() < 0 ? err_from_errno(errno) : 0;
}

void daemon_ready(int status, bool keep_stderr)
{
    if (daemon_pipe < 0) {
        return;
    }
    unsigned char byte = (unsigned char)status;
    while (write(daemon_pipe, &byte, 1) < 0 && errno == EINTR) {
    }
    close(daemon_pipe);
    daemon_pipe = -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return;
    }
    (void)!(dup2(null, 0) < 0 || dup2(null, 1) < 0 || (!keep_stderr && dup2(null, 2) < 0));
    if (null > 2) {
        close(null);
    }
}

int daemon_pid_write(const char *path)
{
    char temp[4096];
    if (snprintf(temp, sizeof temp, "%s.new", path) >= (int)sizeof temp) {
        errno = ENAMETOOLONG;
        return ERR_INVALID;
    }
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    bool ok = write(fd, text, (size_t)n) == n;
    close(fd);
    if (!ok || rename(temp, path) < 0) {
        int saved = errno;
        unlink(temp);
        errno = saved;
        return err_from_errno(saved);
    }
    return 0;
}

pid_t daemon_pid_read(const char *path)
{
    FILE *f = fopen(path, "re");
    long pid = 0;
    if (f) {
        if (fscanf(f, "%ld", &pid) != 1 || pid <= 0) {
            pid = 0;
        }
        fclose(f);
    }
    return (pid_t)pid;
}

void daemon_pid_remove(const char *path)
{
    if (daemon_pid_read(path) == getpid()) {
        unlink(path);
    }
}

void daemon_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof un.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(un.sun_path, path, n);
    if (un.sun_path[0] == '@') {
        un.sun_path[0] = 0; /* the abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&un, len) <
        0) {
        log_warn("systemd: cannot notify %s: errno %d", path, errno);
    }
    close(fd);
}

void daemon_notify_reloading(void)
{
    char text[80];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)(clock_now_ns() / 1000));
    daemon_notify(text);
}
