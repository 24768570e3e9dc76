/* upstreams.c — see upstreams.h. */
#include "proc/upstreams.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "net/addr.h"
#include "proc/master.h"
#include "proc/place.h"
#include "proc/status_model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 8 /* that a message lists */ };

/* ---- the file */

/* All of a file, to be freed; NULL with errno. */
static char *read_file(const char *path, size_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* of a FIFO nobody may ever be at the other end */
    char *text = NULL;
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &st) < 0) {
        st.st_size = -1;
    } else if (!S_ISREG(st.st_mode) || st.st_size > CHANGES_BYTES_MAX) {
        errno = EFBIG;
        st.st_size = -1;
    }
    if (st.st_size >= 0) {
        text = calloc(1, (size_t)st.st_size + 1);
        REQUIRE(text);
        ssize_t got = read(fd, text, (size_t)st.st_size);
        *n = got > 0 ? (size_t)got : 0;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    return text;
}

static void load(upstreams *u)
{
    char err[300];
    size_t n = 0;
    char *text = u->path[0] ? read_file(u->path, &n) : NULL;
    if (!text) {
        if (u->path[0] && errno != ENOENT) {
            log_warn("upstream changes: \"%s\" is not used: %s", u->path, strerror(errno));
        }
        return;
    }
    if (changes_parse(str_of(text, n), &u->all, err, sizeof err) < 0) {
        char kept[4200];
        snprintf(kept, sizeof kept, "%s.damaged", u->path);
        bool moved = rename(u->path, kept) == 0; /* for whoever wants to mend it: the next change makes a new file */
        log_warn("upstream changes: \"%s\" is damaged and not used: %s%s", u->path, err, moved ? "; renamed to .damaged" : "");
    }
    free(text);
}

static char *text_of(const changes *c, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    if (!f) {
        return NULL;
    }
    changes_write(c, f);
    fclose(f);
    return text;
}

static bool write_file(const char *path, const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    ssize_t put = write(fd, text, n);
    if (put >= 0 && (size_t)put < n) {
        errno = ENOSPC;
    }
    bool ok = put == (ssize_t)n && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

/* The new file takes the old one's place when it is complete. 0, or ERR_IO with a text in err. */
static int save(const upstreams *u, const changes *c, char *err, size_t cap)
{
    char temp[4200];
    size_t n = 0;
    if (!u->path[0]) {
        snprintf(err, cap, "there is no folder to keep changes in: name a file with admin = { state = \"…\" }");
        return ERR_IO;
    }
    if (u->own_place) {
        place_make_above(u->path);
    }
    snprintf(temp, sizeof temp, "%s.new", u->path);
    char *text = text_of(c, &n);
    bool ok = text && write_file(temp, text, n) && rename(temp, u->path) == 0;
    free(text);
    if (!ok) {
        snprintf(err, cap, "nothing was changed: \"%s\" cannot be written: %s", u->path, strerror(errno));
        unlink(temp);
    }
    return ok ? 0 : ERR_IO;
}

static void find_path(struct master *m, char *path, size_t cap)
{
    path[0] = '\0';
    m->upstreams.own_place = m->sum.upstream_state.n == 0;
    if (m->sum.upstream_state.n) {
        snprintf(path, cap, "%.*s", STR_ARG(m->sum.upstream_state));
    } else if (place_of_state(m->recipe, path, cap) < 0) {
        path[0] = '\0';
    }
}

/* Said once for each configuration: an operator who drained a server may wonder why nothing happens. */
static void say_without_effect(const struct master *m)
{
    const upstreams *u = &m->upstreams;
    for (uint32_t i = 0; i < u->all.all.n; i++) {
        const change *one = &u->all.all.v[i];
        if (!upstreams_has(m, str_c(one->upstream))) {
            log_notice("upstream changes: %s %s has no effect: there is no such upstream", one->upstream, one->server);
        }
    }
}

void upstreams_open(struct master *m)
{
    find_path(m, m->upstreams.path, sizeof m->upstreams.path);
    load(&m->upstreams);
    if (m->upstreams.all.all.n) {
        log_notice("upstream changes: %u, from \"%s\"", m->upstreams.all.all.n, m->upstreams.path);
    }
    say_without_effect(m);
}

void upstreams_follow(struct master *m)
{
    upstreams *u = &m->upstreams;
    char path[sizeof u->path], err[4400];
    find_path(m, path, sizeof path);
    if (strcmp(path, u->path) != 0) {
        memcpy(u->path, path, sizeof path);
        if (u->all.all.n && save(u, &u->all, err, sizeof err) < 0) {
            log_error("upstream changes: %s", err);
        }
    }
    say_without_effect(m);
}

void upstreams_fini(upstreams *u)
{
    changes_fini(&u->all);
}

/* ---- what there is */

bool upstreams_has(const struct master *m, str upstream)
{
    for (uint32_t i = 0; i < m->sum.upstreams.n; i++) {
        if (str_eq(m->sum.upstreams.v[i], upstream)) {
            return true;
        }
    }
    return false;
}

static const summary_server *find_configured(const struct master *m, str upstream, str server)
{
    for (uint32_t i = 0; i < m->sum.servers.n; i++) {
        const summary_server *one = &m->sum.servers.v[i];
        if (str_eq(one->upstream, upstream) && (str_eq(one->address, server) || (one->label.n && str_eq(one->label, server)))) {
            return one;
        }
    }
    return NULL;
}

static bool is_seen(const status *s, str upstream, str server)
{
    for (uint32_t i = 0; s && i < s->peers.n; i++) {
        if (str_eq(s->peers.v[i].group, upstream) && str_eq(s->peers.v[i].address, server)) {
            return true;
        }
    }
    return false;
}

/* "; there are: a, b, …" */
static void add_name(char *text, size_t cap, int nth, str name)
{
    size_t n = strlen(text);
    if (nth < NAMES_MAX) {
        snprintf(text + n, cap - n, "%s%.*s", nth == 0 ? "; there are: " : ", ", STR_ARG(name));
    } else if (nth == NAMES_MAX) {
        snprintf(text + n, cap - n, ", …");
    }
}

void upstreams_say_unknown(const struct master *m, str upstream, char *text, size_t cap)
{
    snprintf(text, cap, "no upstream is named \"%.*s\"", STR_ARG(upstream));
    for (uint32_t i = 0; i < m->sum.upstreams.n; i++) {
        add_name(text, cap, (int)i, m->sum.upstreams.v[i]);
    }
}

static int say_unknown_server(const struct master *m, str upstream, str server, char *text, size_t cap)
{
    int n = 0;
    snprintf(text, cap, "%.*s has no server %.*s", STR_ARG(upstream), STR_ARG(server));
    for (uint32_t i = 0; i < m->sum.servers.n; i++) {
        if (str_eq(m->sum.servers.v[i].upstream, upstream)) {
            add_name(text, cap, n++, m->sum.servers.v[i].address);
        }
    }
    for (uint32_t i = 0; i < m->upstreams.all.all.n; i++) {
        const change *one = &m->upstreams.all.all.v[i];
        if (one->added && str_eq(str_c(one->upstream), upstream)) {
            add_name(text, cap, n++, str_c(one->server));
        }
    }
    return ERR_INVALID;
}

/* ---- wishes */

struct wish {
    struct master *m;
    const status *seen;
    changes *to; /* a copy, until it is kept */
    str verb, upstream, server, words;
    char *text;
    size_t cap;
};

static int refuse(const struct wish *w, const char *what)
{
    snprintf(w->text, w->cap, "%s", what);
    return ERR_INVALID;
}

/* 0: it is a server of the upstream. */
static int check_known(const struct wish *w)
{
    if (find_configured(w->m, w->upstream, w->server) || changes_find(w->to, w->upstream, w->server) ||
        is_seen(w->seen, w->upstream, w->server)) {
        return 0;
    }
    return w->seen ? say_unknown_server(w->m, w->upstream, w->server, w->text, w->cap) : ERR_AGAIN;
}

/* The change about this server, at the end of the list: the last one counts. */
static change *change_for(const struct wish *w)
{
    change *old = changes_find(w->to, w->upstream, w->server);
    if (old && old == &w->to->all.v[w->to->all.n - 1]) {
        return old;
    }
    change *one = changes_put(w->to, w->upstream, w->server);
    old = changes_find(w->to, w->upstream, w->server); /* the list may have moved */
    if (one && old != one) {
        one->added = old->added;
        one->backup = old->backup;
        one->state = old->state;
        one->weight = old->weight;
        one->max_conns = old->max_conns;
        changes_remove(w->to, old);
        one = &w->to->all.v[w->to->all.n - 1];
    }
    return one;
}

static int full(const struct wish *w)
{
    snprintf(w->text, w->cap, "%d changes are kept, which is the most there can be", CHANGES_MAX);
    return ERR_INVALID;
}

/* Host names: letters, digits, "-", "_", ".". */
static bool is_host(str host)
{
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = str_lower_char((unsigned char)host.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')) {
            return false;
        }
    }
    return host.n > 0;
}

static bool is_address(str server)
{
    addr at;
    if (addr_parse(server, 0, &at) == 0) {
        return at.sa.sa_family == AF_UNIX || addr_port(&at) != 0;
    }
    uint64_t number = 0;
    size_t colon = str_find(server, ':', 0);
    return is_host(str_of(server.p, colon)) && str_to_u64(str_from(server, colon + 1), &number) == 0 && number > 0 && number <= 65535;
}

static int wish_add(const struct wish *w)
{
    str rest = w->words, word;
    change *one = changes_find(w->to, w->upstream, w->server);
    if (!is_address(w->server)) {
        snprintf(w->text, w->cap, "%.*s is no address of a server: it is HOST:PORT or unix:/PATH", STR_ARG(w->server));
        return ERR_INVALID;
    }
    if (find_configured(w->m, w->upstream, w->server) || (one && one->added)) {
        snprintf(w->text, w->cap, "%.*s has the server %.*s already", STR_ARG(w->upstream), STR_ARG(w->server));
        return ERR_INVALID;
    }
    if (changes_count_added(w->to, w->upstream) >= CHANGES_ADDED_MAX) {
        snprintf(w->text, w->cap, "%.*s is full: %d servers were added to it; remove one first", STR_ARG(w->upstream), CHANGES_ADDED_MAX);
        return ERR_INVALID;
    }
    if (!(one = change_for(w))) {
        return full(w);
    }
    one->added = true;
    while (str_split(&rest, ' ', &word)) {
        if (word.n && change_parse_word(one, word, w->text, w->cap) < 0) {
            return ERR_INVALID;
        }
    }
    snprintf(w->text, w->cap, "%.*s: %.*s added", STR_ARG(w->upstream), STR_ARG(w->server));
    return 0;
}

static int wish_remove(const struct wish *w)
{
    change *one = changes_find(w->to, w->upstream, w->server);
    if (find_configured(w->m, w->upstream, w->server)) {
        snprintf(w->text, w->cap, "%.*s is in the configuration and cannot be removed here: drain it, or put it down", STR_ARG(w->server));
        return ERR_INVALID;
    }
    if (!one) {
        return say_unknown_server(w->m, w->upstream, w->server, w->text, w->cap);
    }
    changes_remove(w->to, one);
    snprintf(w->text, w->cap, "%.*s: %.*s removed; what is in flight finishes", STR_ARG(w->upstream), STR_ARG(w->server));
    return 0;
}

/* Does anything else that was changed say what becomes of this upstream's servers? It may be about the same one, by another name. */
static bool has_other_state(const struct wish *w, const change *but)
{
    for (uint32_t i = 0; i < w->to->all.n; i++) {
        const change *one = &w->to->all.v[i];
        if (one != but && one->state != CHANGE_NONE && str_eq(str_c(one->upstream), w->upstream)) {
            return true;
        }
    }
    return false;
}

static void drop_empty(const struct wish *w, change *one)
{
    if (change_is_empty(one)) {
        changes_remove(w->to, one);
    }
}

static int wish_state(const struct wish *w, enum change_state state)
{
    static const char *const said[] = {"", "is up", "is down: what is in flight finishes", "drains: no new requests, what is in flight finishes"};
    int rc = check_known(w);
    if (rc < 0) {
        return rc;
    }
    change *one = change_for(w);
    if (!one) {
        return full(w);
    }
    const summary_server *known = find_configured(w->m, w->upstream, w->server);
    bool as_configured = state == CHANGE_UP && !(known && known->down) && !has_other_state(w, one);
    one->state = as_configured ? CHANGE_NONE : state;
    drop_empty(w, one);
    snprintf(w->text, w->cap, "%.*s: %.*s %s", STR_ARG(w->upstream), STR_ARG(w->server), said[state]);
    return 0;
}

static int wish_weight(const struct wish *w)
{
    uint64_t n = 0;
    int rc = check_known(w);
    if (rc < 0) {
        return rc;
    }
    str number = str_trim(w->words);
    if (str_to_u64(number, &n) < 0 || n < 1 || n > CHANGE_WEIGHT_MAX) {
        snprintf(w->text, w->cap, "\"%.*s\" is no weight: it is a whole number from 1 to %d", STR_ARG(number), CHANGE_WEIGHT_MAX);
        return ERR_INVALID;
    }
    change *one = change_for(w);
    if (!one) {
        return full(w);
    }
    const summary_server *known = find_configured(w->m, w->upstream, w->server);
    one->weight = known && known->weight == (int64_t)n ? 0 : (int)n;
    drop_empty(w, one);
    snprintf(w->text, w->cap, "%.*s: %.*s has weight %d", STR_ARG(w->upstream), STR_ARG(w->server), (int)n);
    return 0;
}

static int grant(const struct wish *w)
{
    static const char *const states[] = {"up", "down", "drain"};
    if (!upstreams_has(w->m, w->upstream)) {
        upstreams_say_unknown(w->m, w->upstream, w->text, w->cap);
        return ERR_INVALID;
    }
    bool bare = !str_eq(w->verb, STR("add")) && !str_eq(w->verb, STR("weight"));
    if (bare && w->words.n) {
        return refuse(w, "one word too many");
    }
    for (int i = 0; i < 3; i++) {
        if (str_eq(w->verb, str_c(states[i]))) {
            return wish_state(w, (enum change_state)(CHANGE_UP + i));
        }
    }
    return str_eq(w->verb, STR("add"))      ? wish_add(w)
           : str_eq(w->verb, STR("remove")) ? wish_remove(w)
           : str_eq(w->verb, STR("weight"))
               ? wish_weight(w)
               : refuse(w, "it is one of list, add, remove, drain, down, up, weight");
}

static int copy_of(const changes *from, changes *to)
{
    size_t n = 0;
    char err[200], *text = text_of(from, &n);
    int rc = text ? changes_parse(str_of(text, n), to, err, sizeof err) : ERR_MEM;
    free(text);
    return rc;
}

int upstreams_wish(struct master *m, str line, const status *seen, char *text, size_t cap)
{
    upstreams *u = &m->upstreams;
    changes to;
    struct wish w = {.m = m, .seen = seen, .to = &to, .text = text, .cap = cap};
    str rest = line;
    if (!str_split(&rest, ' ', &w.verb) || !str_split(&rest, ' ', &w.upstream) || !str_split(&rest, ' ', &w.server) ||
        !changes_is_word(w.upstream) || !changes_is_word(w.server)) {
        return refuse(&w, "an upstream and a server are needed");
    }
    w.words = str_trim(rest);
    if (copy_of(&u->all, &to) < 0) {
        return refuse(&w, "out of memory");
    }
    int rc = grant(&w);
    rc = rc < 0 ? rc : save(u, &to, text, cap);
    if (rc < 0) {
        changes_fini(&to);
        return rc;
    }
    changes_fini(&u->all);
    u->all = to;
    bool up = str_eq(w.verb, STR("up"));
    snprintf(u->event, sizeof u->event, "%.*s", up ? (int)line.n : 0, line.p);
    log_notice("upstream %s", text);
    return 0;
}

/* ---- telling the workers */

void upstreams_tell(struct master *m, uint64_t ticket, void (*fn)(void *arg, const crew_worker *w), void *arg)
{
    size_t n = 0;
    char *text = text_of(&m->upstreams.all, &n);
    int fd = memfd_create("moongate-upstreams", MFD_CLOEXEC);
    if (!text || fd < 0 || write(fd, text, n) != (ssize_t)n) {
        log_alert("cannot tell the workers what changed in upstreams: %s", strerror(errno));
    } else {
        channel_msg msg = {CHANNEL_UPSTREAMS, fd, 0, (int64_t)ticket, str_c(m->upstreams.event)};
        LIST_EACH_SAFE(it, &m->crew.workers)
        {
            crew_worker *w = list_item(it, crew_worker, node);
            if (w->state != CREW_STARTING) {
                fn(arg, w);
            }
            crew_tell_one(w, &msg);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    free(text);
}
