/* client.c — see client.h. The pid for signals comes from the socket's credentials: no pid file has
 * to be found, and none can be stale. */
#include "proc/client.h"

#include "base/err.h"
#include "base/str.h"
#include "proc/daemon.h"
#include "proc/place.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CLIENT_WAIT_S = 120 };

static int client_fail(const char *what, const char *path)
{
    fprintf(stderr, "moongate: %s%s%s\n", what, path ? ": " : "", path ? path : "");
    return 1;
}

/* The socket's path. 0 or the exit status. */
static int client_find(const command *c, char *path, size_t cap)
{
    if (c->socket) {
        snprintf(path, cap, "%s", c->socket);
        return 0;
    }
    if (c->recipe.path || c->recipe.npairs) {
        return place_of(&c->recipe, path, cap) < 0
                   ? client_fail("the runtime folder's name is too long", NULL)
                   : 0;
    }
    int rc = place_find_only(path, cap);
    if (rc == ERR_LIMIT) {
        return client_fail("several gateways run here; say which with -c FILE or --socket PATH",
                           NULL);
    }
    return rc < 0
               ? client_fail("no gateway runs here (say which with -c FILE or --socket PATH)", NULL)
               : 0;
}

static int client_connect(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof un.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(un.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    if (fd >= 0) {
        struct timeval tv = {.tv_sec = CLIENT_WAIT_S};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    }
    return fd;
}

/* The whole answer, to be freed; NULL when it did not come. */
static char *client_ask(int fd, const char *line)
{
    if (write(fd, line, strlen(line)) < 0) {
        return NULL;
    }
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    char buf[65536];
    ssize_t got = 0;
    while (f && (got = read(fd, buf, sizeof buf)) > 0) {
        fwrite(buf, 1, (size_t)got, f);
    }
    if (f) {
        fclose(f);
    }
    if (got < 0 || n == 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* "text" of {"ok":…,"text":"…"}, with its escapes undone as far as they matter on a terminal. */
static void client_print_text(const char *json, FILE *to)
{
    const char *p = strstr(json, "\"text\":\"");
    for (p = p ? p + 8 : ""; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            fputc(*p == 'n' ? '\n' : *p == 't' ? '\t' : *p, to);
        } else {
            fputc(*p, to);
        }
    }
    fputc('\n', to);
}

static int client_do(const command *c, int fd, const char *line)
{
    char *answer = client_ask(fd, line);
    if (!answer) {
        return client_fail("no answer from the gateway", NULL);
    }
    bool ok = strncmp(answer, "{\"ok\":true", 10) == 0;
    if (c->json) {
        fputs(answer, stdout);
    } else {
        client_print_text(answer, ok ? stdout : stderr);
    }
    free(answer);
    return ok ? 0 : 1;
}

static pid_t client_master(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 ? who.pid : 0;
}

/* Asks for a stop and waits until the process has ended. */
static int client_stop(const command *c, int fd)
{
    int process = (int)syscall(SYS_pidfd_open, client_master(fd), 0);
    int rc = client_do(c, fd, c->now ? "end\n" : "quit\n");
    if (rc == 0 && process >= 0) {
        struct pollfd p = {process, POLLIN, 0};
        rc = poll(&p, 1, CLIENT_WAIT_S * 1000) == 1 ? 0 : client_fail("it is still stopping", NULL);
    }
    if (process >= 0) {
        close(process);
    }
    return rc;
}

static int client_signal(const command *c, int fd)
{
    static const struct {
        const char *name;
        int signum;
    } names[] = {{"stop", SIGTERM}, {"quit", SIGQUIT}, {"reload", SIGHUP}, {"reopen", SIGUSR1}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(c->signal, names[i].name) == 0) {
            pid_t pid = fd >= 0 ? client_master(fd) : daemon_pid_read(c->pid);
            if (pid <= 0 || kill(pid, names[i].signum) < 0) {
                return client_fail("cannot send the signal", strerror(pid <= 0 ? ESRCH : errno));
            }
            return 0;
        }
    }
    fprintf(stderr, "moongate: -s %s: it is one of stop, quit, reload, reopen\n", c->signal);
    return 2;
}

/* The words as one line; a list is a page, anything else a verdict. */
static int client_upstream(const command *c, int fd)
{
    char line[1024] = "upstream";
    bool list = strcmp(c->words[0], "list") == 0;
    for (int i = 0; i < c->nwords; i++) {
        size_t n = strlen(line);
        bool plain = c->words[i][0] && !strpbrk(c->words[i], " \t\r\n");
        if (!plain || n + strlen(c->words[i]) + 8 > sizeof line) {
            return client_fail("this is no word of a command", c->words[i]);
        }
        snprintf(line + n, sizeof line - n, " %s%s", c->words[i], list && i == 0 && c->json ? " json" : "");
    }
    strcat(line, "\n");
    if (!list) {
        return client_do(c, fd, line);
    }
    char *page = client_ask(fd, line);
    bool refused = page && strncmp(page, "{\"ok\":false", 11) == 0;
    if (!page) {
        return client_fail("no answer from the gateway", NULL);
    }
    if (refused && !c->json) {
        client_print_text(page, stderr);
    } else {
        fputs(page, stdout);
    }
    free(page);
    return refused;
}

int client_run(const command *c)
{
    char path[256];
    if (c->verb == COMMAND_SIGNAL && c->pid && !c->recipe.path) {
        return client_signal(c, -1); /* -g "pid FILE;" -s quit */
    }
    int rc = client_find(c, path, sizeof path);
    if (rc) {
        return rc;
    }
    int fd = client_connect(path);
    if (fd < 0) {
        fprintf(stderr, "moongate: no gateway answers at %s: %s\n", path, strerror(errno));
        return 1;
    }
    if (c->verb == COMMAND_STATUS) {
        char *page = client_ask(fd, c->metrics ? "metrics\n"
                                    : c->json  ? "status\n"
                                               : "status text\n");
        rc = page ? 0 : client_fail("no answer from the gateway", path);
        fputs(page ? page : "", stdout);
        free(page);
    } else if (c->verb == COMMAND_RELOAD) {
        rc = client_do(c, fd, c->rollback ? "rollback\n" : "reload\n");
    } else if (c->verb == COMMAND_UPSTREAM) {
        rc = client_upstream(c, fd);
    } else if (c->verb == COMMAND_STOP) {
        rc = client_stop(c, fd);
    } else {
        rc = client_signal(c, fd);
    }
    close(fd);
    return rc;
}
