/* watch.c — see watch.h. An event counts when it names a file of the bundle, something that a glob
 * of the configuration would take in, or the "..data" link by which mounted secrets are swapped.
 * Anything else in the same folder (a log, an editor's scratch file) does not. */
#include "proc/watch.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/vec.h"
#include "net/signal.h"
#include "net/timer.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { WATCH_QUIET_MS = 120 };

struct watch_entry {
    int wd;
    unsigned what;
    bool pattern;
    char *name; /* within the folder; owned */
};

struct watch {
    loop *l;
    int fd;
    fd_watch *readable;
    timer quiet;
    unsigned pending;
    watch_fn *fn;
    void *arg;
    VEC(struct watch_entry) entries;
    VEC(int) wds;
};

static void watch_on_quiet(timer *t)
{
    watch *w = container_of(t, watch, quiet);
    unsigned what = w->pending;
    w->pending = 0;
    w->fn(w->arg, what);
}

static unsigned watch_match(const watch *w, const struct inotify_event *e)
{
    unsigned what = 0;
    for (uint32_t i = 0; i < w->entries.n; i++) {
        const struct watch_entry *x = &w->entries.v[i];
        if (x->wd != e->wd) {
            continue;
        }
        bool hit = e->len == 0 || strcmp(e->name, "..data") == 0 ||
                   (x->pattern ? fnmatch(x->name, e->name, 0) == 0 : strcmp(x->name, e->name) == 0);
        what |= hit ? x->what : 0;
    }
    return what;
}

static void watch_on_readable(int fd, void *arg)
{
    watch *w = arg;
    char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(fd, buf, sizeof buf);
    unsigned what = 0;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(buf + at);
        at += (ssize_t)(sizeof *e + e->len);
        what |= e->mask & IN_Q_OVERFLOW ? (unsigned)(WATCH_CERTS | WATCH_FILES) : watch_match(w, e);
    }
    if (what) {
        w->pending |= what;
        timer_set(w->l, &w->quiet, WATCH_QUIET_MS);
    }
}

watch *watch_open(loop *l, watch_fn *fn, void *arg)
{
    watch *w = calloc(1, sizeof *w);
    REQUIRE(w);
    w->l = l;
    w->fn = fn;
    w->arg = arg;
    timer_init(&w->quiet, watch_on_quiet);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->readable = w->fd < 0 ? NULL : fd_watch_start(l, w->fd, watch_on_readable, w);
    if (!w->readable) {
        log_warn("files cannot be watched: errno %d", errno);
        if (w->fd >= 0) {
            close(w->fd);
        }
        free(w);
        return NULL;
    }
    return w;
}

static void watch_clear(watch *w)
{
    for (uint32_t i = 0; i < w->entries.n; i++) {
        free(w->entries.v[i].name);
    }
    w->entries.n = 0;
    w->wds.n = 0;
}

void watch_close(watch *w)
{
    if (w) {
        timer_stop(&w->quiet);
        fd_watch_stop(w->readable);
        close(w->fd);
        watch_clear(w);
        vec_fini(&w->entries);
        vec_fini(&w->wds);
        free(w);
    }
}

static void watch_add(watch *w, const char *path, unsigned what, bool pattern)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int n = slash ? snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path)
                  : snprintf(folder, sizeof folder, ".");
    if (n < 0 || n >= (int)sizeof folder || !*name) {
        return;
    }
    int wd = inotify_add_watch(w->fd, folder,
                               IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                   IN_DELETE | IN_ONLYDIR);
    if (wd < 0) {
        return; /* gone meanwhile, or a pattern in the folder's name */
    }
    struct watch_entry entry = {wd, what, pattern, strdup(name)};
    REQUIRE(entry.name);
    vec_push(&w->entries, entry);
    for (uint32_t i = 0; i < w->wds.n; i++) {
        if (w->wds.v[i] == wd) {
            return;
        }
    }
    vec_push(&w->wds, wd);
}

static void watch_add_file(watch *w, const char *path, unsigned what)
{
    char real[PATH_MAX];
    watch_add(w, path, what, false);
    /* A link's target may be edited in place. */
    if (realpath(path, real) && strcmp(real, path) != 0) {
        watch_add(w, real, what, false);
    }
}

void watch_follow(watch *w, const bundle *b, const summary *sum, bool all)
{
    VEC(int) before = {w->wds.v, w->wds.n, w->wds.cap};
    w->wds.v = NULL;
    w->wds.n = w->wds.cap = 0;
    watch_clear(w);
    for (uint32_t i = 0; i < sum->certs.n; i++) {
        if (sum->certs.v[i].cert_file.n) {
            watch_add_file(w, sum->certs.v[i].cert_file.p, WATCH_CERTS);
        }
        if (sum->certs.v[i].key_file.n) {
            watch_add_file(w, sum->certs.v[i].key_file.p, WATCH_CERTS);
        }
    }
    enum bundle_kind kind;
    str key, value;
    for (size_t at = 0; all && bundle_next(b, &at, &kind, &key, &value);) {
        if (kind == BUNDLE_FILE) {
            watch_add_file(w, key.p, WATCH_FILES);
        } else if (kind == BUNDLE_LIST) {
            watch_add(w, key.p, WATCH_FILES, true);
        }
    }
    for (uint32_t i = 0; i < before.n; i++) {
        bool still = false;
        for (uint32_t k = 0; k < w->wds.n && !still; k++) {
            still = w->wds.v[k] == before.v[i];
        }
        if (!still) {
            (void)inotify_rm_watch(w->fd, before.v[i]);
        }
    }
    vec_fini(&before);
}
