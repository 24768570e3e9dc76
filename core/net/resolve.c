/* resolve.c — names to addresses: a bounded cache in front of c-ares.
 *
 * A record is one name: its addresses, until when they are fresh and until when they may serve as stale. A lookup belongs to its record, queries wait on it; so a
 * name is asked for once however many wait, and a cancelled query does not stop what fills the cache. Records in use are not evicted. */
#include "net/resolve.h"

#include "base/check.h"
#include "base/err.h"
#include "base/map.h"
#include "net/loop_impl.h"
#include "net/resolve_chase.h"
#include "net/resolve_impl.h"

#include <ares.h>
#include <stdlib.h>

enum {
    RECORDS_MAX = 4096,
    NAME_MAX_ = RESOLVE_NAME_ROOM - 1,
    TIMEOUT_MS = 5000,
    MIN_TTL_MS = 1000,
    MAX_TTL_MS = 3600 * 1000,
    STALE_MS = 24 * 3600 * 1000,
    TRIES = 2,         /* the second waits twice as long as the first */
};

struct record {
    list lru;      /* most recently used first */
    list waiting;  /* of resolve_query */
    resolver *r;
    char *name;
    addr *v;
    int n;
    int err;               /* negative answer: ERR_NOT_FOUND */
    uint32_t pins;         /* finished queries that have not been read */
    bool asking, is_stale;
    int64_t fresh_ms;      /* until */
    int64_t ends_ms;       /* of the TTL; stale use counts from here */
    timer deadline;        /* of the lookup, as far as the waiting are concerned */
};

struct resolve_query {
    list node;
    struct record *rec; /* NULL: answered without a record */
    resolver *r;
    job *user;
    bool done;
    int err;
    addr literal;
};

/* A socket of c-ares in the loop. */
struct sock {
    struct event ev;
    struct sock *next;
    resolver *r;
    int fd;
};

/* ---- c-ares in the loop ---- */

void resolver_arm(resolver *r)
{
    struct timeval tv, *soonest = NULL;
    for (int i = 0; i < r->nchannels; i++) {
        soonest = ares_timeout(r->channels[i], soonest, &tv);
    }
    if (soonest) {
        timer_set(r->l, &r->tick, tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1);
    } else {
        timer_clear(&r->tick);
    }
}

ares_channel resolver_next_channel(resolver *r)
{
    return r->channels[r->turn++ % (uint32_t)r->nchannels];
}

static void on_tick(timer *t)
{
    resolver *r = container_of(t, resolver, tick);
    job_wake(r->l, &r->work);
}

static void work_run(job *j)
{
    resolver *r = container_of(j, resolver, work);
    for (int i = 0; i < r->nchannels; i++) {
        ares_process_fd(r->channels[i], ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    resolver_arm(r);
}

static void on_sock(evutil_socket_t fd, short what, void *arg)
{
    resolver *r = arg; /* not the sock: c-ares may close it here */
    loop_enter(r->l);
    for (int i = 0; i < r->nchannels; i++) { /* the one that owns it; the others do not know it */
        ares_process_fd(r->channels[i], what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    }
    resolver_arm(r);
    loop_drain(r->l);
}

static void on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    resolver *r = arg;
    struct sock **at = &r->socks;
    while (*at && (*at)->fd != fd) {
        at = &(*at)->next;
    }
    struct sock *k = *at;
    if (k) {
        event_del(&k->ev);
        if (!readable && !writable) {
            *at = k->next;
            free(k);
            return;
        }
    } else {
        if (!readable && !writable) {
            return;
        }
        k = calloc(1, sizeof *k);
        REQUIRE(k != NULL);
        k->fd = fd;
        k->r = r;
        k->next = r->socks;
        r->socks = k;
    }
    short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    event_assign(&k->ev, r->l->base, fd, what, on_sock, r);
    if (event_add(&k->ev, NULL) < 0) {
        k->ev.ev_events = 0; /* not watched: the lookup ends by its timeout */
    }
}

/* ---- records ---- */

static void record_free(struct record *rec)
{
    resolver *r = rec->r;
    map_remove(&r->records, str_c(rec->name));
    list_remove(&rec->lru);
    timer_stop(&rec->deadline);
    r->n--;
    free(rec->v);
    free(rec->name);
    free(rec);
}

static bool is_in_use(const struct record *rec)
{
    return rec->asking || rec->pins || !list_is_empty(&rec->waiting);
}

static bool make_room(resolver *r)
{
    if (r->n < RECORDS_MAX) {
        return true;
    }
    for (list *at = r->lru.prev; at != &r->lru; at = at->prev) {
        struct record *rec = list_item(at, struct record, lru);
        if (!is_in_use(rec)) {
            record_free(rec);
            return true;
        }
    }
    return false;
}

static void query_done(resolve_query *q, int err)
{
    list_remove(&q->node);
    q->done = true;
    q->err = err;
    if (err < 0) {
        q->rec = NULL;
    } else if (q->rec) {
        q->rec->pins++;
    }
    if (q->user) {
        job_wake(q->r->l, q->user);
    }
}

static void answer_all(struct record *rec, int err)
{
    while (!list_is_empty(&rec->waiting)) {
        query_done(list_item(rec->waiting.next, resolve_query, node), err);
    }
}

static bool has_stale(const struct record *rec)
{
    return rec->n > 0 && !rec->r->args.strict && clock_ms() < rec->ends_ms + rec->r->args.stale_ms;
}

/* DNS did not work: old addresses are better than none, and one lookup per min_ttl is enough while it lasts. */
static int use_stale(struct record *rec, int err)
{
    if (!has_stale(rec)) {
        return err;
    }
    rec->is_stale = true;
    rec->err = 0;
    rec->fresh_ms = clock_ms() + rec->r->args.min_ttl_ms;
    return 0;
}

static void on_deadline(timer *t)
{
    struct record *rec = container_of(t, struct record, deadline);
    answer_all(rec, use_stale(rec, ERR_TIMEOUT));
}

int64_t resolver_ttl_ms(const resolver *r, int64_t ttl_s)
{
    const struct resolver_args *a = &r->args;
    int64_t ms = ttl_s < a->max_ttl_ms / 1000 ? ttl_s * 1000 : a->max_ttl_ms;
    ms = ms < a->min_ttl_ms ? a->min_ttl_ms : ms;
    return a->valid_ms > 0 ? a->valid_ms : ms;
}

static void learn(struct record *rec, const addr *v, int n, int64_t ttl)
{
    if (n == 0) {
        rec->n = 0;
        rec->err = ERR_NOT_FOUND;
        ttl = 0;
    } else {
        addr *kept = realloc(rec->v, (size_t)n * sizeof *kept);
        REQUIRE(kept != NULL);
        memcpy(kept, v, (size_t)n * sizeof *kept);
        rec->v = kept;
        rec->n = n;
        rec->err = 0;
    }
    rec->is_stale = false;
    rec->fresh_ms = rec->ends_ms = clock_ms() + resolver_ttl_ms(rec->r, ttl);
}

static void learn_info(struct record *rec, const struct ares_addrinfo *info)
{
    addr v[RESOLVE_MAX_ADDRS];
    int n = 0;
    int64_t ttl = INT64_MAX;
    for (int pass = 0; pass < 2; pass++) { /* IPv4 first: the family most likely to work */
        int family = pass == 0 ? AF_INET : AF_INET6;
        for (const struct ares_addrinfo_node *at = info->nodes; at && n < RESOLVE_MAX_ADDRS; at = at->ai_next) {
            if (at->ai_family == family) {
                addr_from_sockaddr(&v[n], at->ai_addr, at->ai_addrlen);
                addr_set_port(&v[n++], 0);
                ttl = at->ai_ttl < ttl ? at->ai_ttl : ttl;
            }
        }
    }
    for (const struct ares_addrinfo_cname *c = info->cnames; c; c = c->next) {
        ttl = c->ttl < ttl ? c->ttl : ttl;
    }
    learn(rec, v, n, ttl);
}

static void remember_failure(struct record *rec)
{
    rec->n = 0; /* the name is known not to have any: nothing stale about that */
    rec->err = ERR_NOT_FOUND;
    rec->fresh_ms = rec->r->args.strict ? 0 : clock_ms() + rec->r->args.min_ttl_ms;
}

/* Everything but success. */
static void on_failure(struct record *rec, int status)
{
    if (rec->r->closing || status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
        answer_all(rec, ERR_CANCELLED);
    } else if (status == ARES_ENOTFOUND || status == ARES_ENODATA) {
        remember_failure(rec);
        answer_all(rec, ERR_NOT_FOUND);
    } else {
        answer_all(rec, use_stale(rec, status == ARES_ETIMEOUT ? ERR_TIMEOUT : ERR_RESOLVE));
    }
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct record *rec = arg;
    (void)timeouts;
    rec->asking = false;
    timer_clear(&rec->deadline);
    if (status == ARES_SUCCESS && !rec->r->closing) {
        learn_info(rec, info);
        answer_all(rec, rec->err);
    } else {
        on_failure(rec, status);
    }
    ares_freeaddrinfo(info);
}

static void on_chased(void *arg, const struct chased *c)
{
    struct record *rec = arg;
    rec->asking = false;
    timer_clear(&rec->deadline);
    if (c->status == ARES_SUCCESS && !rec->r->closing) {
        learn(rec, c->v, c->n, c->ttl_s);
        answer_all(rec, rec->err);
    } else {
        on_failure(rec, c->status);
    }
}

bool resolver_known(resolver *r, const char *name, struct chased *out)
{
    const struct record *rec = map_get(&r->records, str_c(name));
    int64_t left = rec ? (rec->fresh_ms - clock_ms()) / 1000 : 0;
    if (!rec || rec->err || rec->n == 0 || clock_ms() >= rec->fresh_ms) {
        return false;
    }
    out->n = rec->n;
    memcpy(out->v, rec->v, (size_t)rec->n * sizeof *rec->v);
    out->ttl_s = left < out->ttl_s ? left : out->ttl_s;
    return true;
}

static void ask(struct record *rec)
{
    resolver *r = rec->r;
    const struct resolver_args *a = &r->args;
    rec->asking = true;
    timer_set(r->l, &rec->deadline, a->timeout_ms);
    if (a->strict) {
        chase_start(r, rec->name, on_chased, rec);
        return;
    }
    struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT, .ai_socktype = SOCK_STREAM};
    hints.ai_family = a->ipv4 && a->ipv6 ? AF_UNSPEC : a->ipv6 ? AF_INET6 : AF_INET;
    ares_getaddrinfo(resolver_next_channel(r), rec->name, NULL, &hints, on_answer, rec);
    resolver_arm(r);
}

/* ---- names ---- */

/* Host name bytes only (RFC 1123, and "_" as found in the wild); without a final dot, lower case, terminated. 0 when it is none. */
size_t resolver_normalise(str name, char *out)
{
    if (name.n && name.p[name.n - 1] == '.') {
        name.n--;
    }
    if (name.n == 0 || name.n > NAME_MAX_) {
        return 0;
    }
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = str_lower_char((unsigned char)name.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.')) {
            return 0;
        }
        out[i] = (char)c;
    }
    out[name.n] = '\0';
    return name.n;
}

static bool is_literal(str name, addr *out)
{
    return addr_parse(name, 0, out) == 0 && out->sa.sa_family != AF_UNIX && addr_port(out) == 0;
}

static struct record *record_of(resolver *r, str name)
{
    struct record *rec = map_get(&r->records, name);
    if (rec) {
        list_remove(&rec->lru);
        list_push_front(&r->lru, &rec->lru);
        return rec;
    }
    if (!make_room(r)) {
        return NULL;
    }
    rec = calloc(1, sizeof *rec);
    char *copy = strndup(name.p, name.n);
    REQUIRE(rec && copy);
    rec->r = r;
    rec->name = copy;
    list_init(&rec->waiting);
    timer_init(&rec->deadline, on_deadline);
    list_push_front(&r->lru, &rec->lru);
    map_put(&r->records, str_of(copy, name.n), rec);
    r->n++;
    return rec;
}

static void give(const struct record *rec, resolve_answer *out)
{
    int64_t left = rec->fresh_ms - clock_ms();
    out->n = rec->n;
    memcpy(out->v, rec->v, (size_t)rec->n * sizeof *rec->v);
    out->ttl_ms = left > 0 ? left : 0;
    out->stale = rec->is_stale;
    out->none = false;
}

static void give_literal(const addr *a, resolve_answer *out)
{
    out->n = 1;
    out->v[0] = *a;
    out->ttl_ms = MAX_TTL_MS;
    out->stale = out->none = false;
}

/* No addresses, in the words of resolve.h. */
static int negative(int err, resolve_answer *out)
{
    *out = (resolve_answer){.none = err == ERR_NOT_FOUND};
    return err == ERR_NOT_FOUND ? ERR_RESOLVE : err;
}

int resolve_cached(resolver *r, str name, resolve_answer *out)
{
    char z[NAME_MAX_ + 1];
    addr a;
    if (is_literal(name, &a)) {
        give_literal(&a, out);
        return 0;
    }
    size_t n = resolver_normalise(name, z);
    if (n == 0) {
        return negative(ERR_NOT_FOUND, out);
    }
    struct record *rec = map_get(&r->records, str_of(z, n));
    if (!rec || clock_ms() >= rec->fresh_ms) {
        return ERR_AGAIN;
    }
    list_remove(&rec->lru);
    list_push_front(&r->lru, &rec->lru);
    if (rec->err) {
        return negative(rec->err, out);
    }
    give(rec, out);
    return 0;
}

resolve_query *resolve_start(resolver *r, str name, job *user)
{
    char z[NAME_MAX_ + 1];
    resolve_query *q = calloc(1, sizeof *q);
    REQUIRE(q != NULL);
    list_init(&q->node);
    q->r = r;
    q->user = user;
    if (is_literal(name, &q->literal)) {
        query_done(q, 0);
        return q;
    }
    size_t n = resolver_normalise(name, z);
    q->rec = n ? record_of(r, str_of(z, n)) : NULL;
    if (!q->rec) {
        query_done(q, n ? ERR_RESOLVE : ERR_NOT_FOUND);
        return q;
    }
    if (clock_ms() < q->rec->fresh_ms) {
        query_done(q, q->rec->err);
        return q;
    }
    list_push_back(&q->rec->waiting, &q->node);
    if (!q->rec->asking) {
        ask(q->rec);
    } else if (!timer_is_set(&q->rec->deadline)) {
        timer_set(r->l, &q->rec->deadline, r->args.timeout_ms); /* the first to wait gave up, the lookup goes on */
    }
    return q;
}

int resolve_result(resolve_query *q, resolve_answer *out)
{
    if (!q->done) {
        return ERR_AGAIN;
    }
    int err = q->err;
    if (err == 0 && q->rec) {
        if (q->rec->n > 0) {
            give(q->rec, out);
        } else {
            err = ERR_NOT_FOUND; /* gone since the wake */
        }
    } else if (err == 0) {
        give_literal(&q->literal, out);
    }
    resolve_cancel(q);
    return err ? negative(err, out) : 0;
}

void resolve_cancel(resolve_query *q)
{
    if (!q) {
        return;
    }
    list_remove(&q->node);
    if (q->done && q->rec) {
        q->rec->pins--;
    }
    free(q);
}

/* ---- the resolver ---- */

static void set_defaults(struct resolver_args *a)
{
    a->timeout_ms = a->timeout_ms > 0 ? a->timeout_ms : TIMEOUT_MS;
    a->min_ttl_ms = a->min_ttl_ms > 0 ? a->min_ttl_ms : MIN_TTL_MS;
    a->max_ttl_ms = a->max_ttl_ms > 0 ? a->max_ttl_ms : MAX_TTL_MS;
    a->stale_ms = a->stale_ms > 0 ? a->stale_ms : STALE_MS;
    if (!a->ipv4 && !a->ipv6) {
        a->ipv4 = true;
    }
}

static int open_channel(resolver *r, const char *servers)
{
    char lookups[] = "fb"; /* the hosts file, then DNS */
    ares_channel *c = &r->channels[r->nchannels];
    struct ares_options o = {.tries = TRIES, .lookups = r->args.strict ? lookups + 1 : lookups};
    int what = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    o.timeout = (int)(r->args.timeout_ms / 3 > 10 ? r->args.timeout_ms / 3 : 10);
    o.sock_state_cb = on_sock_state;
    o.sock_state_cb_data = r;
    if (servers) {
        what |= ARES_OPT_DOMAINS; /* none: names given to a named server are complete */
    }
    if (r->args.strict) {
        o.flags = ARES_FLAG_NOCHECKRESP; /* SERVFAIL is an answer */
        what |= ARES_OPT_FLAGS;
    }
    if (ares_init_options(c, &o, what) != ARES_SUCCESS) {
        return ERR_IO;
    }
    if (servers && ares_set_servers_ports_csv(*c, servers) != ARES_SUCCESS) {
        ares_destroy(*c);
        return ERR_INVALID;
    }
    r->nchannels++;
    return 0;
}

/* All servers in one channel, which asks them in order; or one channel for each, which take turns. */
static int open_channels(resolver *r)
{
    if (!r->args.strict || !r->args.servers) {
        return open_channel(r, r->args.servers);
    }
    str rest = str_c(r->args.servers), one;
    int rc = 0;
    while (rc == 0 && r->nchannels < RESOLVE_MAX_SERVERS && str_split(&rest, ',', &one)) {
        char *z = strndup(one.p, one.n);
        REQUIRE(z != NULL);
        rc = open_channel(r, z);
        free(z);
    }
    return rc ? rc : r->nchannels ? 0 : ERR_INVALID;
}

static void close_channels(resolver *r)
{
    while (r->nchannels) {
        ares_destroy(r->channels[--r->nchannels]); /* answers every lookup and closes every socket */
    }
    ares_library_cleanup();
}

resolver *resolver_new(loop *l, const struct resolver_args *args)
{
    resolver *r = calloc(1, sizeof *r);
    REQUIRE(r != NULL);
    r->l = l;
    r->args = *args;
    set_defaults(&r->args);
    map_init(&r->records);
    list_init(&r->lru);
    timer_init(&r->tick, on_tick);
    job_init(&r->work, work_run);
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS || open_channels(r) < 0) {
        close_channels(r);
        map_fini(&r->records);
        free(r);
        return NULL;
    }
    return r;
}

void resolver_free(resolver *r)
{
    if (!r) {
        return;
    }
    r->closing = true;
    close_channels(r);
    timer_stop(&r->tick);
    job_cancel(&r->work);
    while (!list_is_empty(&r->lru)) {
        record_free(list_item(r->lru.next, struct record, lru));
    }
    map_fini(&r->records);
    free(r);
}
