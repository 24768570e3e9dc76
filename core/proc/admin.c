/* admin.c — see admin.h. A client that neither asks nor reads is dropped after ADMIN_LIFE_MS; there
 * are at most ADMIN_MAX at a time. */
#include "proc/admin.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "net/listen.h"
#include "proc/json.h"
#include "proc/master.h"
#include "proc/master_logs.h"
#include "proc/place.h"
#include "proc/status.h"
#include "script/metrics_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ADMIN_MAX = 16,
    ADMIN_LINE_MAX = 1024,
    ADMIN_LIFE_MS = 90000,
    ADMIN_STATUS_MS = 1000,
    ADMIN_TELL_MS = 5000,
    ADMIN_FLUSH_MS = 10
};

enum admin_want {
    ADMIN_NOTHING,
    ADMIN_STATUS,
    ADMIN_STATUS_TEXT,
    ADMIN_LIST,      /* of upstreams */
    ADMIN_LIST_JSON,
    ADMIN_WISH,      /* about an upstream: its peers must be known first */
    ADMIN_TELL,      /* the workers are told */
    ADMIN_SWAP
};

typedef struct admin_conn {
    list node;
    admin *a;
    int fd;
    fd_watch *watch;
    timer timer; /* the life of the connection; while it collects, of that; while it writes, the
                    next try */
    int64_t born_ms;
    enum admin_want want;
    uint64_t ticket; /* of the swap, or of the collection */
    status *status;
    VEC(pid_t) awaited;
    uint32_t asked; /* workers */
    str about;      /* the rest of the line */
    char said[512]; /* the answer to a wish, when all workers know */
    char *out;
    size_t out_n, out_at;
    size_t in_n;
    char in[ADMIN_LINE_MAX];
} admin_conn;

struct admin {
    master *m;
    listener listener;
    bool listening;
    char path[128]; /* where the socket is */
    char link[PLACE_MAX];
    list conns;
    uint32_t n;
    uint64_t tickets;
};

static void admin_conn_close(admin_conn *c)
{
    list_remove(&c->node);
    c->a->n--;
    timer_stop(&c->timer);
    if (c->watch) {
        fd_watch_stop(c->watch);
    }
    close(c->fd);
    status_free(c->status);
    vec_fini(&c->awaited);
    free(c->out);
    free(c);
}

/* Closes the connection when everything is written. */
static void admin_flush(admin_conn *c)
{
    while (c->out_at < c->out_n) {
        ssize_t n = write(c->fd, c->out + c->out_at, c->out_n - c->out_at);
        if (n < 0 && errno == EAGAIN && clock_ms() - c->born_ms < ADMIN_LIFE_MS) {
            timer_set(c->a->m->l, &c->timer, ADMIN_FLUSH_MS);
            return;
        }
        if (n <= 0) {
            break;
        }
        c->out_at += (size_t)n;
    }
    admin_conn_close(c);
}

/* Takes `text`. */
static void admin_answer(admin_conn *c, char *text, size_t n)
{
    c->want = ADMIN_NOTHING;
    c->out = text;
    c->out_n = text ? n : 0;
    admin_flush(c);
}

static void admin_answer_result(admin_conn *c, bool ok, str why)
{
    char *text = NULL;
    size_t n = 0;
    json j = {open_memstream(&text, &n), false};
    if (!j.f) {
        admin_conn_close(c);
        return;
    }
    json_open(&j, NULL, '{');
    json_bool(&j, "ok", ok);
    json_int(&j, "generation", (int64_t)c->a->m->generation);
    json_str(&j, "text", why);
    json_close(&j, '}');
    fputc('\n', j.f);
    fclose(j.f);
    admin_answer(c, text, n);
}

static void admin_start_status(admin_conn *c, enum admin_want want);

static void admin_finish_status(admin_conn *c)
{
    const master *m = c->a->m;
    size_t n = 0;
    char *text = c->want == ADMIN_STATUS        ? status_json(c->status, c->a->m, &n)
                 : c->want == ADMIN_STATUS_TEXT ? status_text(c->status, c->a->m, &n)
                 : c->want == ADMIN_LIST        ? upstreams_text(c->status, m, c->about, &n)
                                                : upstreams_json(c->status, m, c->about, &n);
    admin_answer(c, text, n);
}

/* The workers know, or as many as have answered in time. */
static void admin_finish_tell(admin_conn *c)
{
    uint32_t missing = c->awaited.n;
    char text[640];
    if (missing) {
        snprintf(text, sizeof text, "%s; but %u of %u workers have not answered yet", c->said, missing, c->asked);
    } else {
        snprintf(text, sizeof text, "%s (%u workers)", c->said, c->asked);
    }
    admin_answer_result(c, missing == 0, str_c(text));
}

static void admin_await(void *arg, const crew_worker *w)
{
    admin_conn *c = arg;
    vec_push(&c->awaited, w->pid);
    c->asked++;
}

/* `seen`: what the workers report, once it was asked for. */
static void admin_wish(admin_conn *c, const status *seen)
{
    master *m = c->a->m;
    int rc = upstreams_wish(m, c->about, seen, c->said, sizeof c->said);
    if (rc == ERR_AGAIN && !seen) {
        admin_start_status(c, ADMIN_WISH);
    } else if (rc < 0) {
        admin_answer_result(c, false, str_c(c->said));
    } else {
        c->want = ADMIN_TELL;
        c->ticket = ++c->a->tickets;
        c->asked = c->awaited.n = 0;
        timer_set(m->l, &c->timer, ADMIN_TELL_MS);
        upstreams_tell(m, c->ticket, admin_await, c);
        if (c->awaited.n == 0) {
            admin_finish_tell(c);
        }
    }
}

/* All have answered, or there is no more time. */
static void admin_collected(admin_conn *c)
{
    if (c->want == ADMIN_TELL) {
        admin_finish_tell(c);
    } else if (c->want == ADMIN_WISH) {
        admin_wish(c, c->status);
    } else {
        admin_finish_status(c); /* whoever did not answer is shown without details */
    }
}

static void admin_on_timer(timer *t)
{
    admin_conn *c = container_of(t, admin_conn, timer);
    if (c->out) {
        admin_flush(c);
    } else if (c->want == ADMIN_TELL || c->status) {
        admin_collected(c);
    } else {
        admin_conn_close(c);
    }
}

static void admin_start_status(admin_conn *c, enum admin_want want)
{
    master *m = c->a->m;
    c->want = want;
    c->ticket = ++c->a->tickets;
    c->status = status_new();
    channel_msg msg = {CHANNEL_STATUS, -1, 0, (int64_t)c->ticket, STR_EMPTY};
    LIST_EACH(it, &m->crew.workers)
    {
        crew_worker *w = list_item(it, crew_worker, node);
        if (w->state != CREW_STARTING) {
            vec_push(&c->awaited, w->pid);
            crew_tell_one(w, &msg);
        }
    }
    if (c->awaited.n == 0) {
        admin_collected(c);
    } else {
        timer_set(m->l, &c->timer, ADMIN_STATUS_MS);
    }
}

static int admin_append(void *arg, const char *p, size_t n)
{
    return fwrite(p, 1, n, arg) == n ? 0 : ERR_MEM;
}

static void admin_answer_metrics(admin_conn *c)
{
    const shared *sh = &c->a->m->shared;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) {
        admin_conn_close(c);
        return;
    }
    int rc = stats_render(sh->stats, metrics_table_open(sh->slots), admin_append, f);
    fclose(f);
    admin_answer(c, text, rc < 0 ? 0 : n);
}

static void admin_start_swap(admin_conn *c, bool back)
{
    master *m = c->a->m;
    char err[256];
    if (m->state != MASTER_RUNNING) {
        admin_answer_result(c, false, STR("the gateway is stopping"));
        return;
    }
    uint64_t ticket =
        back ? swap_rollback(&m->swap, err, sizeof err) : swap_reload(&m->swap, SWAP_ALWAYS);
    if (ticket == 0) {
        admin_answer_result(c, false, str_c(err));
        return;
    }
    c->want = ADMIN_SWAP;
    c->ticket = ticket;
    if (m->swap.last.ticket >= ticket) { /* over already */
        admin_answer_result(c, m->swap.last.ok, str_c(m->swap.last.text));
    }
}

/* "list [json] [NAME]", or a wish. */
static void admin_upstream(admin_conn *c, str line)
{
    str rest = line, word = STR_EMPTY;
    (void)str_split(&rest, ' ', &word);
    c->about = line;
    if (!str_eq(word, STR("list"))) {
        admin_wish(c, NULL);
        return;
    }
    str name = rest;
    bool as_json = str_split(&name, ' ', &word) && str_eq(word, STR("json"));
    c->about = str_trim(as_json ? name : rest);
    if (c->about.n && !upstreams_has(c->a->m, c->about)) {
        upstreams_say_unknown(c->a->m, c->about, c->said, sizeof c->said);
        admin_answer_result(c, false, str_c(c->said));
        return;
    }
    admin_start_status(c, as_json ? ADMIN_LIST_JSON : ADMIN_LIST);
}

static void admin_run(admin_conn *c, str line)
{
    master *m = c->a->m;
    if (str_eq(line, STR("status"))) {
        admin_start_status(c, ADMIN_STATUS);
    } else if (str_eq(line, STR("status text"))) {
        admin_start_status(c, ADMIN_STATUS_TEXT);
    } else if (str_has_prefix(line, STR("upstream "))) {
        admin_upstream(c, str_from(line, 9));
    } else if (str_eq(line, STR("metrics"))) {
        admin_answer_metrics(c);
    } else if (str_eq(line, STR("reload"))) {
        admin_start_swap(c, false);
    } else if (str_eq(line, STR("rollback"))) {
        admin_start_swap(c, true);
    } else if (str_eq(line, STR("reopen"))) {
        master_logs_reopen(m);
        admin_answer_result(c, true, STR("logs reopened"));
    } else if (str_eq(line, STR("quit"))) {
        admin_answer_result(c, true, STR("stopping gracefully"));
        master_quit(m);
    } else if (str_eq(line, STR("end"))) {
        admin_answer_result(c, true, STR("stopping"));
        master_end(m);
    } else {
        admin_answer_result(
            c, false,
            STR("unknown command; known: status, status text, metrics, upstream, reload, rollback, "
                "reopen, quit, end"));
    }
}

static void admin_on_readable(int fd, void *arg)
{
    admin_conn *c = arg;
    ssize_t n = read(fd, c->in + c->in_n, sizeof c->in - c->in_n);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0 || c->want != ADMIN_NOTHING) {
        admin_conn_close(c); /* gone, or it says something after its one line */
        return;
    }
    c->in_n += (size_t)n;
    str in = str_of(c->in, c->in_n);
    size_t end = str_find(in, '\n', 0);
    if (end < in.n) {
        fd_watch_stop(c->watch);
        c->watch = NULL;
        admin_run(c, str_trim(str_of(in.p, end > 0 && in.p[end - 1] == '\r' ? end - 1 : end)));
    } else if (c->in_n == sizeof c->in) {
        admin_conn_close(c);
    }
}

static void admin_on_accept(listener *ln, int fd, const addr *peer)
{
    (void)peer;
    admin *a = ln->data;
    if (a->n >= ADMIN_MAX) {
        close(fd);
        return;
    }
    admin_conn *c = calloc(1, sizeof *c);
    REQUIRE(c);
    c->a = a;
    c->fd = fd;
    c->born_ms = clock_ms();
    list_push_back(&a->conns, &c->node);
    a->n++;
    timer_init(&c->timer, admin_on_timer);
    timer_set(a->m->l, &c->timer, ADMIN_LIFE_MS);
    c->watch = fd_watch_start(a->m->l, fd, admin_on_readable, c);
    if (!c->watch) {
        admin_conn_close(c);
    }
}

/* ---- the socket */

static int admin_bind(admin *a, const char *path)
{
    char text[160];
    struct listen_args args = {.backlog = 16};
    snprintf(text, sizeof text, "unix:%s", path);
    if (addr_parse(str_c(text), 0, &args.at) < 0) {
        errno = EINVAL;
        return ERR_INVALID;
    }
    mode_t before = umask(0177); /* nobody may connect between bind and a chmod */
    int fd = listen_open(&args);
    int saved = errno;
    umask(before);
    errno = saved;
    if (fd < 0) {
        return fd;
    }
    snprintf(a->path, sizeof a->path, "%s", path);
    a->listening = listener_start(&a->listener, a->m->l, fd, admin_on_accept, a) == 0;
    if (!a->listening) {
        close(fd);
    }
    return a->listening ? 0 : ERR_IO;
}

static void admin_unbind(admin *a, bool remove_files)
{
    if (a->listening) {
        listener_stop(&a->listener, true);
        a->listening = false;
        if (remove_files) {
            unlink(a->path);
        }
    }
    if (remove_files && a->link[0]) {
        unlink(a->link);
    }
    a->link[0] = a->path[0] = 0;
}

/* Binds where the configuration says, or at the default place; in the first case the default place
 * becomes a link. */
static void admin_listen(admin *a)
{
    char place[PLACE_MAX] = "";
    bool have_place = place_of(a->m->recipe, place, sizeof place) == 0 && place_make_folder() == 0;
    const char *configured = a->m->sum.admin_socket.n ? a->m->sum.admin_socket.p : NULL;
    const char *path = configured ? configured : place;
    if (!configured && !have_place) {
        log_warn(
            "no admin socket: its folder cannot be made; name one with admin = { socket = … }");
        return;
    }
    if (admin_bind(a, path) < 0) {
        log_warn("no admin socket: %s: %s", path, strerror(errno));
        return;
    }
    if (configured && have_place && strcmp(configured, place) != 0) {
        unlink(place);
        if (symlink(configured, place) == 0) {
            snprintf(a->link, sizeof a->link, "%s", place);
        }
    }
}

admin *admin_open(struct master *m)
{
    admin *a = calloc(1, sizeof *a);
    REQUIRE(a);
    a->m = m;
    list_init(&a->conns);
    admin_listen(a);
    return a;
}

void admin_close(admin *a, bool remove_files)
{
    if (!a) {
        return;
    }
    LIST_EACH_SAFE(it, &a->conns)
    {
        admin_conn_close(list_item(it, admin_conn, node));
    }
    admin_unbind(a, remove_files);
    free(a);
}

void admin_follow(admin *a)
{
    if (!a) {
        return;
    }
    char place[PLACE_MAX] = "";
    str configured = a->m->sum.admin_socket;
    str now = configured;
    if (!configured.n && place_of(a->m->recipe, place, sizeof place) == 0) {
        now = str_c(place);
    }
    if (!a->listening || !str_eq(now, str_c(a->path))) {
        admin_unbind(a, true);
        admin_listen(a);
    }
}

/* ---- answers */

static void admin_forget_awaited(admin_conn *c, pid_t pid)
{
    for (uint32_t i = 0; i < c->awaited.n; i++) {
        if (c->awaited.v[i] == pid) {
            c->awaited.v[i] = c->awaited.v[--c->awaited.n];
            if (c->awaited.n == 0) {
                admin_collected(c);
            }
            return;
        }
    }
}

static bool admin_is_collecting(const admin_conn *c)
{
    return c->status && (c->want == ADMIN_STATUS || c->want == ADMIN_STATUS_TEXT || c->want == ADMIN_LIST ||
                         c->want == ADMIN_LIST_JSON || c->want == ADMIN_WISH);
}

void admin_on_told(admin *a, const crew_worker *w, const channel_msg *msg)
{
    if (!a) {
        return;
    }
    LIST_EACH_SAFE(it, &a->conns)
    {
        admin_conn *c = list_item(it, admin_conn, node);
        if (c->want == ADMIN_TELL && c->ticket == (uint64_t)msg->arg) {
            admin_forget_awaited(c, w->pid);
            return;
        }
    }
}

void admin_on_status(admin *a, const crew_worker *w, const channel_msg *msg)
{
    if (!a) {
        return;
    }
    LIST_EACH_SAFE(it, &a->conns)
    {
        admin_conn *c = list_item(it, admin_conn, node);
        if (admin_is_collecting(c) && c->ticket == (uint64_t)msg->arg) {
            status_add(c->status, w, msg->fd);
            admin_forget_awaited(c, w->pid);
            return;
        }
    }
}

void admin_on_gone(admin *a, const crew_worker *w)
{
    if (!a) {
        return;
    }
    LIST_EACH_SAFE(it, &a->conns)
    {
        admin_conn *c = list_item(it, admin_conn, node);
        if (admin_is_collecting(c) || c->want == ADMIN_TELL) {
            admin_forget_awaited(c, w->pid);
        }
    }
}

void admin_on_swap_done(admin *a)
{
    if (!a) {
        return;
    }
    const struct swap_result *last = &a->m->swap.last;
    LIST_EACH_SAFE(it, &a->conns)
    {
        admin_conn *c = list_item(it, admin_conn, node);
        if (c->want == ADMIN_SWAP && c->ticket <= last->ticket) {
            admin_answer_result(c, last->ok, str_c(last->text));
        }
    }
}
