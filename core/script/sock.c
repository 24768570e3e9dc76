/* sock.c — see sock.h. States: CLOSED → (RESOLVING →) CONNECTING → OPEN → TLS → OPEN. */
#include "script/sock.h"

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/map.h"
#include "net/idle_conn.h"
#include "tls/ctx.h"
#include "tls/stream_tls.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLOSED, RESOLVING, CONNECTING, OPEN, HANDSHAKE };
enum { FILL_MAX = 256 * 1024, KEY_MAX = 512 };

struct sock_pool {
    idle_pool idle;
    char key[];
};

/* Per process. */
static struct {
    map pools;
    list live;
    tls_client *tls[2]; /* without and with verification; made when first needed */
} socks;

/* -- pools */

static struct sock_pool *pool_of(const char *key, bool make)
{
    struct sock_pool *p = map_get(&socks.pools, str_c(key));
    if (p || !make || socks.pools.n >= SOCK_POOLS) {
        return p;
    }
    size_t n = strlen(key) + 1;
    p = malloc(sizeof *p + n);
    REQUIRE(p != NULL);
    memcpy(p->key, key, n);
    idle_pool_init(&p->idle, SOCK_POOL_SIZE, 0);
    map_put(&socks.pools, str_of(p->key, n - 1), p);
    return p;
}

/* Connections of another TLS setting stay for those who opened them: they age out or are found again. */
static idle_conn *take_idle(const sock *k)
{
    struct sock_pool *p = pool_of(k->key, false);
    idle_conn *c;
    while (p && (c = idle_take(&p->idle)) != NULL) {
        if (c->tag == k->tag) {
            return c;
        }
        idle_conn_free(c);
    }
    return NULL;
}

/* -- life */

sock *sock_new(void (*run)(job *j), void *owner)
{
    if (!socks.live.next) {
        list_init(&socks.live);
    }
    sock *k = calloc(1, sizeof *k);
    REQUIRE(k != NULL);
    k->owner = owner;
    job_init(&k->job, run);
    list_push_back(&socks.live, &k->node);
    return k;
}

void sock_free(sock *k)
{
    if (k) {
        sock_close(k);
        list_remove(&k->node);
        free(k);
    }
}

static void drop_got(sock *k)
{
    free(k->got);
    k->got = NULL;
    k->got_n = k->got_cap = 0;
}

void sock_close(sock *k)
{
    if (k->query) {
        resolve_cancel(k->query);
        k->query = NULL;
    }
    connect_cancel(k->race);
    k->race = NULL;
    idle_conn_free(k->c);
    k->c = NULL;
    job_cancel(&k->job);
    free(k->key);
    k->key = NULL;
    drop_got(k);
    k->state = CLOSED;
}

bool sock_is_open(const sock *k)
{
    return k->state == OPEN;
}

static int fail(sock *k, int err)
{
    sock_close(k);
    return err;
}

/* -- connect */

static int start_race(sock *k, loop *l, const addr *v, int n)
{
    struct connect_args a = {.addrs = v, .naddrs = n, .timeout_ms = k->connect_ms, .user = &k->job};
    k->race = connect_race(l, &a);
    k->state = CONNECTING;
    return sock_connect_wait(k, l);
}

static int with_answer(sock *k, loop *l, int rc, resolve_answer *a)
{
    if (rc < 0 || a->n == 0) {
        return fail(k, rc < 0 ? rc : ERR_RESOLVE);
    }
    for (int i = 0; i < a->n; i++) {
        addr_set_port(&a->v[i], k->port);
    }
    return start_race(k, l, a->v, a->n);
}

static int resolve(sock *k, loop *l, resolver *r, str host)
{
    resolve_answer a;
    int rc = r ? resolve_cached(r, host, &a) : ERR_RESOLVE;
    if (rc != ERR_AGAIN) {
        return with_answer(k, l, rc, &a);
    }
    k->query = resolve_start(r, host, &k->job);
    if (!k->query) {
        return fail(k, ERR_RESOLVE);
    }
    k->state = RESOLVING;
    return ERR_AGAIN;
}

static char *make_key(const struct sock_target *to)
{
    char text[KEY_MAX];
    int n = to->pool.n ? snprintf(text, sizeof text, "%.*s", STR_ARG(to->pool))
                       : snprintf(text, sizeof text, "%.*s:%u", STR_ARG(to->host), to->port);
    return n < 0 || n >= KEY_MAX ? NULL : strdup(text);
}

int sock_connect(sock *k, loop *l, resolver *r, const struct sock_target *to)
{
    sock_close(k);
    k->key = make_key(to);
    if (!k->key) {
        return ERR_INVALID;
    }
    k->port = to->port;
    k->tag = to->tag;
    k->connect_ms = to->connect_ms;
    k->exchanges = 0;
    k->c = take_idle(k);
    k->reused = k->c != NULL;
    if (k->reused) {
        k->c->s.user = &k->job;
        k->exchanges = k->c->requests;
        k->state = OPEN;
        return 0;
    }
    addr at;
    if (addr_parse(to->host, to->port, &at) == 0) {
        return start_race(k, l, &at, 1);
    }
    return resolve(k, l, r, to->host);
}

int sock_connect_wait(sock *k, loop *l)
{
    if (k->state == RESOLVING) {
        resolve_answer a;
        int rc = resolve_result(k->query, &a);
        if (rc == ERR_AGAIN) {
            return rc;
        }
        k->query = NULL;
        return with_answer(k, l, rc, &a);
    }
    if (k->state != CONNECTING) {
        return k->state == OPEN ? 0 : ERR_INVALID;
    }
    idle_conn *c = idle_conn_new();
    int rc = connect_result(k->race, &c->s);
    if (rc < 0) {
        idle_conn_free(c);
        k->race = rc == ERR_AGAIN ? k->race : NULL;
        return rc == ERR_AGAIN ? rc : fail(k, rc);
    }
    k->race = NULL;
    k->c = c;
    c->tag = k->tag;
    c->s.user = &k->job;
    k->state = OPEN;
    return 0;
}

/* -- TLS */

uint64_t sock_tls_tag(str name, bool verify)
{
    return hash_keyed(name, 2, verify) | 1;
}

static tls_client *tls_context(bool verify, const char **why)
{
    static char text[200];
    if (!socks.tls[verify]) {
        struct tls_client_args a = {.verify = verify};
        socks.tls[verify] = tls_client_new(&a, text, sizeof text);
        *why = text;
    }
    return socks.tls[verify];
}

int sock_tls(sock *k, str name, bool verify, const char **why)
{
    *why = NULL;
    if (k->state == OPEN) {
        if (k->reused && k->c->tag == sock_tls_tag(name, verify)) {
            return 0; /* it is under TLS already */
        }
        tls_client *t = tls_context(verify, why);
        int rc = t ? stream_tls_client(&k->c->s, t, name, NULL) : ERR_TLS;
        if (rc < 0) {
            return fail(k, rc);
        }
        k->c->tag = sock_tls_tag(name, verify);
        k->state = HANDSHAKE;
    }
    if (k->state != HANDSHAKE) {
        return ERR_INVALID;
    }
    int rc = stream_tls_handshake(&k->c->s);
    if (rc == 0) {
        k->state = OPEN;
    } else if (rc != ERR_AGAIN) {
        static char text[256];
        snprintf(text, sizeof text, "%s", stream_tls_error(&k->c->s));
        *why = text;
        return fail(k, rc);
    }
    return rc;
}

/* -- receive */

static int keep(sock *k, str s)
{
    if (k->got_n + s.n > k->got_cap) {
        size_t cap = k->got_cap ? k->got_cap * 2 : 4096;
        cap = cap < k->got_n + s.n ? k->got_n + s.n : cap;
        char *p = realloc(k->got, cap);
        if (!p) {
            return ERR_MEM;
        }
        k->got = p;
        k->got_cap = cap;
    }
    memcpy(k->got + k->got_n, s.p, s.n);
    k->got_n += s.n;
    stream_consume(&k->c->s, s.n);
    return 0;
}

/* How much of the unread bytes belongs to the receive; *done: that completes it. */
static size_t share_of(const sock *k, enum sock_want want, size_t n, bool *done)
{
    str in = stream_in(&k->c->s);
    size_t use = in.n;
    *done = false;
    if (want == SOCK_LINE) {
        const char *lf = in.n ? memchr(in.p, '\n', in.n) : NULL;
        *done = lf != NULL;
        return lf ? (size_t)(lf - in.p) + 1 : in.n;
    }
    if (want == SOCK_BYTES || want == SOCK_ANY) {
        size_t room = n - k->got_n;
        use = in.n < room ? in.n : room;
        *done = want == SOCK_ANY ? use > 0 : use == room;
    }
    return use;
}

static str without_line_end(str s)
{
    s.n -= s.n > 0 && s.p[s.n - 1] == '\n';
    s.n -= s.n > 0 && s.p[s.n - 1] == '\r';
    return s;
}

int sock_receive(sock *k, enum sock_want want, size_t n, str *out)
{
    *out = STR_EMPTY;
    if (k->state != OPEN) {
        return ERR_EOF;
    }
    for (;;) {
        bool done;
        size_t use = share_of(k, want, n, &done);
        int rc = k->got_n + use > SOCK_RECEIVE_MAX ? ERR_LIMIT : 0;
        rc = rc == 0 && use ? keep(k, str_of(stream_in(&k->c->s).p, use)) : rc;
        *out = str_of(k->got, k->got_n);
        if (rc < 0) {
            return rc;
        }
        if (done) {
            *out = want == SOCK_LINE ? without_line_end(*out) : *out;
            return 0;
        }
        ssize_t got = stream_fill(&k->c->s, FILL_MAX);
        if (got == ERR_EOF && want == SOCK_ALL) {
            return 0;
        }
        if (got < 0) {
            return (int)got;
        }
    }
}

void sock_received(sock *k)
{
    k->got_n = 0;
    if (k->got_cap > 65536) {
        drop_got(k);
    }
}

/* -- send */

int sock_send(sock *k, const str *v, int n)
{
    if (k->state != OPEN) {
        return ERR_EOF;
    }
    bufq q;
    bufq_init(&q);
    for (int i = 0; i < n; i++) {
        bufq_push_copy(&q, v[i]);
    }
    stream_push(&k->c->s, &q);
    bufq_fini(&q);
    return stream_flush(&k->c->s);
}

int sock_flush(sock *k)
{
    return k->state == OPEN ? stream_flush(&k->c->s) : ERR_EOF;
}

int sock_park(sock *k, loop *l, int64_t idle_ms, uint32_t size)
{
    idle_conn *c = k->c;
    bool clean = k->state == OPEN && stream_queued(&c->s) == 0 && stream_in(&c->s).n == 0 && !(c->s.flags & (STREAM_EOF | STREAM_DEAD));
    struct sock_pool *p = clean ? pool_of(k->key, true) : NULL;
    if (p) {
        p->idle.max = size;
        p->idle.timeout_ms = idle_ms;
        c->requests++;
        c->s.user = NULL;
        k->c = NULL;
        idle_park(l, &p->idle, c);
    }
    sock_close(k);
    return clean ? 0 : ERR_INVALID;
}
