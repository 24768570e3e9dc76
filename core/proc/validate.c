/* validate.c — see validate.h. Parent and child share a memfd (the bundle) and a pipe (diagnostics;
 * its end says that the child is done). */
#include "proc/validate.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/build.h"
#include "net/signal.h"
#include "net/timer.h"
#include "proc/generation.h"
#include "proc/summary.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VALIDATE_MS = 60000, VALIDATE_TEXT_MAX = 65536 };

struct validation {
    pid_t pid;
    int pipe, memfd;
    fd_watch *watch;
    timer deadline;
    bool late;
    validate_fn *on_done;
    void *arg;
    size_t n;
    char text[VALIDATE_TEXT_MAX];
};

/* ---- in the child */

struct validate_recorder {
    bundle_draft *draft;
    const struct script_reader *disk;
    bundle *base; /* or NULL */
    summary base_sum;
    int fd; /* of the diagnostics */
};

static bool validate_is_cert(const summary *s, str path)
{
    for (uint32_t i = 0; i < s->certs.n; i++) {
        if (str_eq(s->certs.v[i].cert_file, path) || str_eq(s->certs.v[i].key_file, path)) {
            return true;
        }
    }
    return false;
}

static int validate_read(void *arg, str path, pool *p, str *out)
{
    struct validate_recorder *v = arg;
    /* A file read twice must be the same bytes twice, as it will be in the workers. */
    if (bundle_draft_find(v->draft, BUNDLE_FILE, path, out)) {
        return 0;
    }
    int rc = 0;
    if (!v->base || validate_is_cert(&v->base_sum, path)) {
        rc = v->disk->read(v->disk->arg, path, p, out);
    } else if (!bundle_find(v->base, BUNDLE_FILE, path, out)) {
        rc = ERR_NOT_FOUND;
    }
    if (rc == 0) {
        bundle_add(v->draft, BUNDLE_FILE, path, *out);
    }
    return rc;
}

static int validate_glob(void *arg, str pattern, pool *p, str *out)
{
    struct validate_recorder *v = arg;
    if (bundle_draft_find(v->draft, BUNDLE_LIST, pattern, out)) {
        return 0;
    }
    int rc = 0;
    if (!v->base) {
        rc = v->disk->glob(v->disk->arg, pattern, p, out);
    } else if (!bundle_find(v->base, BUNDLE_LIST, pattern, out)) {
        rc = ERR_NOT_FOUND;
    }
    if (rc == 0) {
        bundle_add(v->draft, BUNDLE_LIST, pattern, *out);
    }
    return rc;
}

static int validate_env(void *arg, str name, pool *p, str *out)
{
    struct validate_recorder *v = arg;
    int rc = 0;
    if (!v->base) {
        rc = v->disk->env(v->disk->arg, name, p, out);
    } else if (!bundle_find(v->base, BUNDLE_ENV, name, out)) {
        rc = ERR_NOT_FOUND;
    }
    if (rc == 0) {
        bundle_add(v->draft, BUNDLE_ENV, name, *out);
    }
    return rc;
}

static void validate_say(struct validate_recorder *v, str text)
{
    while (text.n > 0) {
        ssize_t n = write(v->fd, text.p, text.n);
        if (n <= 0 && errno != EINTR) {
            return;
        }
        text = str_from(text, n > 0 ? (size_t)n : 0);
    }
}

static void validate_emit(void *arg, const struct script_diag *d)
{
    validate_say(arg, d->text.n ? d->text : d->message);
    validate_say(arg, STR("\n"));
}

static void validate_policy(void *arg, str name, str path, uint64_t hash)
{
    struct validate_recorder *v = arg;
    char text[32];
    (void)path;
    int n = snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    summary_record_policy(v->draft, name, str_of(text, (size_t)n));
}

static void validate_dump(const conf *c)
{
    pool p;
    pool_init(&p, 65536);
    str text = conf_dump(c, &p);
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
    pool_fini(&p);
}

/* The work; 0 or the exit status. Nothing is freed: the process ends. */
static int validate_load(struct validate_recorder *v, const recipe *r, int memfd, bool dump)
{
    char err[4096] = "";
    struct script_reader reader = {validate_read, validate_glob, validate_env, v};
    struct script_args args = generation_load_args(r, &reader, 0);
    struct script_diag_sink sink = {validate_emit, v};
    conf *c = NULL;
    script *s = script_load(&args, &c, &sink);
    if (!s) {
        return 1;
    }
    struct plan *p = plan_new(c, 0, err, sizeof err);
    if (!p || script_bind(s, p) < 0) {
        validate_say(v, str_c(p ? "the routes name hooks that no policy has" : err));
        validate_say(v, STR("\n"));
        return 1;
    }
    if (dump) {
        validate_dump(c);
    }
    summary_record(v->draft, c);
    script_each_policy(s, validate_policy, v);
    if (bundle_draft_write(v->draft, memfd) < 0) {
        validate_say(v, STR("the configuration bundle cannot be written\n"));
        return 1;
    }
    return 0;
}

static NORETURN void validate_child(const recipe *r, bundle *base, int memfd, int fd, bool dump)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(VALIDATE_MS / 1000 + 5); /* when nobody watches the deadline: at the start */
    prctl(PR_SET_NAME, "mg-validate");
    const int defaults[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD, SIGWINCH};
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        signal(defaults[i], SIG_DFL);
    }
    signal(SIGHUP, SIG_IGN); /* a second reload request is for the master */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct validate_recorder v = {
        bundle_draft_new(), &script_reader_disk, base, {.workers = 0}, fd};
    REQUIRE(v.draft && (!base || summary_read(base, &v.base_sum) == 0));
    _exit(validate_load(&v, r, memfd, dump));
}

/* ---- in the parent */

static validation *validate_fork(const recipe *r, bundle *base, bool dump)
{
    int fds[2];
    validation *v = calloc(1, sizeof *v);
    REQUIRE(v);
    v->memfd = bundle_memfd();
    if (v->memfd < 0) {
        free(v);
        return NULL;
    }
    if (pipe2(fds, O_CLOEXEC) < 0) {
        close(v->memfd);
        free(v);
        return NULL;
    }
    /* Signals wait until the child has its own handlers: libevent's would write into the master's
     * socket pair. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    v->pid = fork();
    if (v->pid == 0) {
        close(fds[0]);
        validate_child(r, base, v->memfd, fds[1], dump);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    v->pipe = fds[0];
    if (v->pid < 0) {
        close(v->pipe);
        close(v->memfd);
        free(v);
        return NULL;
    }
    return v;
}

/* Takes what is in the pipe: false at the end of it. */
static bool validate_collect(validation *v)
{
    char spill[4096];
    bool full = v->n == sizeof v->text;
    char *to = full ? spill : v->text + v->n;
    ssize_t n = read(v->pipe, to, full ? sizeof spill : sizeof v->text - v->n);
    if (n < 0) {
        return errno == EINTR || errno == EAGAIN;
    }
    v->n += full ? 0 : (size_t)n;
    return n > 0;
}

static void validate_release(validation *v)
{
    if (v->watch) {
        fd_watch_stop(v->watch);
    }
    timer_stop(&v->deadline);
    close(v->pipe);
    if (v->memfd >= 0) {
        close(v->memfd);
    }
    free(v);
}

static void validate_note(validation *v, const char *text)
{
    size_t n = strlen(text);
    if (sizeof v->text - v->n > n) {
        memcpy(v->text + v->n, text, n);
        v->n += n;
    }
}

static void validate_finish(validation *v)
{
    int status = 0;
    pid_t got;
    do {
        got = waitpid(v->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    bundle *b = NULL;
    char err[256] = "";
    if (got == v->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        b = bundle_open(v->memfd, err, sizeof err);
        v->memfd = -1;
    } else if (v->late) {
        snprintf(err, sizeof err, "loading the configuration took longer than %d s\n",
                 VALIDATE_MS / 1000);
    } else if (got == v->pid && WIFSIGNALED(status)) {
        snprintf(err, sizeof err, "loading the configuration ended with signal %d (%s)\n",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    validate_note(v, err);
    while (v->n > 0 && v->text[v->n - 1] == '\n') {
        v->n--;
    }
    v->on_done(v->arg, b, str_of(v->text, v->n));
    validate_release(v);
}

static void validate_on_pipe(int fd, void *arg)
{
    (void)fd;
    if (!validate_collect(arg)) {
        validate_finish(arg);
    }
}

static void validate_on_deadline(timer *t)
{
    validation *v = container_of(t, validation, deadline);
    v->late = true;
    kill(v->pid, SIGKILL);
}

validation *validate_start(loop *l, const recipe *r, bundle *base, validate_fn *on_done, void *arg)
{
    validation *v = validate_fork(r, base, false);
    if (!v) {
        return NULL;
    }
    v->on_done = on_done;
    v->arg = arg;
    timer_init(&v->deadline, validate_on_deadline);
    v->watch = fd_watch_start(l, v->pipe, validate_on_pipe, v);
    if (!v->watch) {
        validate_cancel(v);
        return NULL;
    }
    timer_set(l, &v->deadline, VALIDATE_MS);
    return v;
}

void validate_cancel(validation *v)
{
    kill(v->pid, SIGKILL);
    while (waitpid(v->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    validate_release(v);
}

void validate_forget(validation *v)
{
    validate_release(v);
}

void validate_now(const recipe *r, bool dump, validate_fn *on_done, void *arg)
{
    validation *v = validate_fork(r, NULL, dump);
    if (!v) {
        on_done(arg, NULL, STR("cannot start a process to load the configuration"));
        return;
    }
    v->on_done = on_done;
    v->arg = arg;
    timer_init(&v->deadline, validate_on_deadline);
    while (validate_collect(v)) {
    }
    validate_finish(v);
}
