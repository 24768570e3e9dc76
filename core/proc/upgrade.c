/* upgrade.c — see upgrade.h. MOONGATE_LISTENERS holds one socket per line: descriptor, "=", key. */
#include "proc/upgrade.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "net/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UPGRADE_ENV "MOONGATE_LISTENERS"

static struct {
    char **argv;
    char *listeners; /* owned; NULL: none handed over, or taken */
    pid_t elder;     /* 0: nobody handed over anything */
} upgrade;

void upgrade_remember(char **argv)
{
    const char *env = getenv(UPGRADE_ENV);
    upgrade.argv = argv;
    if (env) {
        upgrade.listeners = strdup(env);
        REQUIRE(upgrade.listeners);
        upgrade.elder = getppid();
        unsetenv(UPGRADE_ENV);
    }
}

bool upgrade_is_heir(void)
{
    return upgrade.elder > 0;
}

bool upgrade_has_elder(void)
{
    return upgrade.elder > 1 && getppid() == upgrade.elder;
}

static void upgrade_inherit_one(ports *p, str line)
{
    size_t gap = str_find(line, '=', 0);
    int64_t fd;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (str_to_i64(str_of(line.p, gap), &fd) < 0 || fd < 3 || fd > 1 << 20 ||
        getsockname((int)fd, (struct sockaddr *)&ss, &len) < 0) {
        log_warn("a socket that was handed over is none: %.*s", STR_ARG(line));
        return;
    }
    (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    ports_inherit(p, str_from(line, gap + 1), (int)fd, (const struct sockaddr *)&ss, len);
}

void upgrade_inherit(ports *p)
{
    str rest = str_c(upgrade.listeners ? upgrade.listeners : ""), line;
    while (str_split(&rest, '\n', &line)) {
        if (line.n > 0) {
            upgrade_inherit_one(p, line);
        }
    }
    free(upgrade.listeners);
    upgrade.listeners = NULL;
}

static char *upgrade_text(const ports *p)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    REQUIRE(f);
    for (uint32_t i = 0; i < p->all.n; i++) {
        fprintf(f, "%d=%s\n", p->all.v[i]->fd, p->all.v[i]->key);
    }
    fclose(f);
    return text;
}

static NORETURN void upgrade_child(const ports *p, const char *text)
{
    for (uint32_t i = 0; i < p->all.n; i++) {
        (void)fcntl(p->all.v[i]->fd, F_SETFD, 0);
    }
    for (int s = 1; s < NSIG; s++) {
        signal(s, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setenv(UPGRADE_ENV, text, 1);
    execvp(upgrade.argv[0], upgrade.argv);
    log_alert("execve() failed while executing new binary process \"%s\" (%d: %s)", upgrade.argv[0], errno, strerror(errno));
    _exit(2);
}

pid_t upgrade_start(const ports *p)
{
    char *text = upgrade_text(p);
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* as in validate.c */
    pid_t pid = fork();
    if (pid == 0) {
        upgrade_child(p, text);
    }
    int saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(text);
    errno = saved;
    return pid < 0 ? (pid_t)err_from_errno(saved) : pid;
}
