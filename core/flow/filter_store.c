/* filter_store.c — see filter_store.h. Bytes go into a file without a name in the folder of the target and on to the client from there; when the end comes the file
 * gets its name in one step. An answer that is cut, or whose client leaves, leaves nothing. */
#include "flow/filter_store.h"

#include "base/err.h"
#include "flow/exchange_impl.h"
#include "flow/plan.h"
#include "flow/req_log.h"
#include "flow/tempfile.h"
#include "flow/tmpl.h"
#include "http/date.h"
#include "http/sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct store_sink {
    sink sink;
    req *r;
    sink *next;
    tempfile file;
    bufq held; /* stored, not taken yet */
    str path, folder;
    bool failed, stored;
} store_sink;

static bool wants(const route *rt)
{
    return rt->c->exchange.n && rt->c->exchange.v[0].store.p;
}

static int head(req *r)
{
    const msg *m = &r->res;
    bool whole = !r->has_reply && r->fetching && m->status == 200 && m->body != MSG_BODY_NONE;
    return whole && r->in.method == METHOD_GET && r->route->exchange && r->route->exchange->store;
}

/* The folders between the root and the file; those that are there are fine. */
static void make_folders(char *path)
{
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = 0;
        (void)!mkdir(path, 0700);
        *at = '/';
    }
}

static int fail(store_sink *s, const char *what)
{
    req_log(s->r, LOG_CRIT_, "%s \"%.*s\" failed (%d: %s) while storing an answer", what, STR_ARG(s->path), errno, strerror(errno));
    s->failed = true;
    return 0; /* the client gets it all the same */
}

static void give_time(const store_sink *s)
{
    const field *f = headers_find(&s->r->fetch.res.h, TOKEN_LAST_MODIFIED);
    int64_t seconds;
    if (f && date_parse(f->value, &seconds) == 0) {
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};
        (void)!futimens(s->file.file->fd, times);
    }
}

/* The file as it is takes the place of whatever has the name. */
static int give_name(store_sink *s)
{
    str name;
    give_time(s);
    if (fchmod(s->file.file->fd, (mode_t)s->r->route->exchange->c->store_mode) < 0) {
        return fail(s, "chmod()");
    }
    if (tempfile_name(&s->file, s->folder, &s->r->pool, &name) < 0) {
        return fail(s, "link()");
    }
    if (rename(name.p, s->path.p) < 0) {
        int rc = fail(s, "rename()");
        (void)!unlink(name.p);
        return rc;
    }
    return 0;
}

static int keep(store_sink *s, bufq *q, bool last)
{
    int rc = 0;
    if (!s->failed && (q->bytes || !s->file.file)) {
        rc = tempfile_append(&s->file, s->folder, q, &s->held);
        s->failed = rc < 0;
    }
    bufq_move(&s->held, q);
    if (last && !s->stored && !s->failed) {
        s->stored = true;
        rc = give_name(s);
    }
    return rc < 0 && s->held.bytes == 0 ? rc : 0;
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    store_sink *s = container_of(sk, store_sink, sink);
    int rc = keep(s, q, flags & SINK_LAST);
    return rc < 0 ? rc : sink_push(s->next, &s->held, flags);
}

static void on_abort(sink *sk, int err)
{
    sink_abort(container_of(sk, store_sink, sink)->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static void on_fini(void *arg)
{
    store_sink *s = arg;
    bufq_fini(&s->held);
    tempfile_fini(&s->file);
}

/* Names come of variables, and those of requests: one that climbs would be anybody's way to any file. */
static bool is_name(str path)
{
    str climbs = STR("/../");
    return path.n >= 2 && path.p[0] == '/' && path.p[path.n - 1] != '/' && !memchr(path.p, 0, path.n) && str_search(path, climbs) == path.n &&
           !str_has_suffix(path, STR("/.."));
}

static sink *body(req *r, sink *next)
{
    str path = tmpl_eval(r->route->exchange->store, r);
    if (!is_name(path)) {
        return next;
    }
    store_sink *s = pool_zalloc(&r->pool, sizeof *s);
    s->sink.ops = &ops;
    s->r = r;
    s->next = next;
    tempfile_init(&s->file);
    bufq_init(&s->held);
    pool_on_fini(&r->pool, on_fini, s);
    char *text = pool_alloc(&r->pool, path.n + 1);
    memcpy(text, path.p, path.n);
    text[path.n] = 0;
    make_folders(text);
    s->path = str_of(text, path.n);
    s->folder = pool_printf(&r->pool, "%.*s", (int)(strrchr(text, '/') - text) + 1, text);
    return &s->sink;
}

const struct filter filter_store = {.name = "store", .wants = wants, .head = head, .body = body};
