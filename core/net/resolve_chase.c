/* resolve_chase.c — see resolve_chase.h. The message format: RFC 1035 §4.1. */
#include "net/resolve_chase.h"

#include "base/check.h"
#include "net/resolve_impl.h"

#include <stdlib.h>

enum {
    HOPS_MAX = 8,  /* aliases in a row */
    TRIES_MAX = 3, /* of one hop, when a server is silent or talks nonsense */
    NAME_ROOM = 256,
    HEAD = 12,
    RECORD_FIXED = 10, /* type, class, TTL, length */
    CLASS_IN = 1,
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    SRV_FIXED = 6, /* priority, weight, port (RFC 2782) */
};

struct chase {
    resolver *r;
    chase_done *done;
    void *arg;
    char name[NAME_ROOM]; /* asked for now */
    char next[NAME_ROOM]; /* the alias that an answer named; empty: none */
    bool service; /* SRV records are asked for, not addresses */
    int hops, tries, pending;
    ares_channel channel; /* both questions go to one server */
    struct question {
        struct chase *c;
        int type;
        int status;
        bool alias; /* that is what its answer was */
        int n;
        addr v[RESOLVE_MAX_ADDRS];
    } q[2];
    struct chased out;
};

/* ---- answers */

struct reader {
    const unsigned char *buf, *p, *end;
    int n; /* of buf */
};

static uint32_t be(const unsigned char *p, int n)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

/* A name at `at`; its length on the wire, < 0: broken. out may be NULL. */
static long read_name(const struct reader *r, const unsigned char *at, char *out)
{
    char *text;
    long used;
    if (ares_expand_name(at, r->buf, r->n, &text, &used) != ARES_SUCCESS) {
        return -1;
    }
    if (out) {
        size_t n = strlen(text);
        n = n < NAME_ROOM - 1 ? n : NAME_ROOM - 1;
        for (size_t i = 0; i < n; i++) {
            out[i] = (char)str_lower_char((unsigned char)text[i]);
        }
        out[n] = '\0';
    }
    ares_free_string(text);
    return used;
}

static bool add_addr(struct question *q, const unsigned char *data, size_t n)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool v4 = q->type == TYPE_A;
    if (n != (v4 ? 4 : 16)) {
        return false;
    }
    memcpy(v4 ? (void *)&in.sin_addr : (void *)&in6.sin6_addr, data, n);
    if (q->n < RESOLVE_MAX_ADDRS) {
        addr_from_sockaddr(&q->v[q->n++], v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                           v4 ? sizeof in : sizeof in6);
    }
    return true;
}

/* RFC 2782: a target of "." says that there is no such service. A weight of 0 is the least there is. */
static bool add_service(struct question *q, const struct reader *r, const unsigned char *data, size_t n)
{
    struct chased *out = &q->c->out;
    struct chased_service one;
    if (n <= SRV_FIXED || read_name(r, data + SRV_FIXED, one.name) < 0) {
        return false;
    }
    one.priority = (uint16_t)be(data, 2);
    one.weight = (uint16_t)be(data + 2, 2);
    one.weight = one.weight ? one.weight : 1;
    one.port = (uint16_t)be(data + 4, 2);
    if (one.name[0] && one.port && out->nservices < CHASED_SERVICES_MAX) {
        out->services[out->nservices++] = one;
        q->n++;
    }
    return true;
}

/* One record of the answer section. False: broken. */
static bool read_record(struct question *q, struct reader *r)
{
    long used = read_name(r, r->p, NULL);
    if (used < 0 || r->end - r->p < used + RECORD_FIXED) {
        return false;
    }
    const unsigned char *f = r->p + used;
    uint32_t type = be(f, 2), class = be(f + 2, 2), ttl = be(f + 4, 4), n = be(f + 8, 2);
    const unsigned char *data = f + RECORD_FIXED;
    if ((size_t)(r->end - data) < n) {
        return false;
    }
    r->p = data + n;
    bool mine = class == CLASS_IN && (type == (uint32_t)q->type || type == TYPE_CNAME);
    if (mine && ttl < q->c->out.ttl_s) {
        q->c->out.ttl_s = ttl;
    }
    if (mine && type == TYPE_CNAME) {
        q->alias = true;
        return read_name(r, data, q->c->next) >= 0;
    }
    if (mine && type == TYPE_SRV) {
        return add_service(q, r, data, n);
    }
    return !mine || add_addr(q, data, n);
}

static int read_answer(struct question *q, const unsigned char *buf, int n)
{
    struct reader r = {.buf = buf, .end = buf + n, .n = n, .p = buf + HEAD};
    uint32_t questions = n >= HEAD ? be(buf + 4, 2) : 0, answers = n >= HEAD ? be(buf + 6, 2) : 0;
    while (questions--) {
        long used = r.p < r.end ? read_name(&r, r.p, NULL) : -1;
        if (used < 0 || r.end - r.p < used + 4) {
            return ARES_EBADRESP;
        }
        r.p += used + 4;
    }
    while (answers--) {
        if (r.p >= r.end || !read_record(q, &r)) {
            return ARES_EBADRESP;
        }
    }
    return q->n ? ARES_SUCCESS : ARES_ENODATA;
}

/* ---- asking */

static void ask(struct chase *c);

static void finish(struct chase *c, int status)
{
    c->out.status = status;
    c->done(c->arg, &c->out);
    free(c);
}

static void collect(struct chase *c)
{
    for (int i = 0; i < 2 && !c->service; i++) {
        const struct question *q = &c->q[i];
        for (int k = 0; k < q->n && c->out.n < RESOLVE_MAX_ADDRS; k++) {
            c->out.v[c->out.n++] = q->v[k];
        }
    }
}

/* What went wrong: anything else than "there is none" of either question. */
static int worst(const struct chase *c)
{
    for (int i = 0; i < 2; i++) {
        int s = c->q[i].type ? c->q[i].status : ARES_ENODATA;
        if (s != ARES_SUCCESS && s != ARES_ENODATA && s != ARES_ENOTFOUND) {
            return s;
        }
    }
    return ARES_ENODATA;
}

/* An alias that only A knows, and AAAA says that there is nothing, is taken for nothing: as nginx does. */
static bool is_disowned(const struct chase *c)
{
    return c->q[0].alias && c->q[1].type && !c->q[1].alias;
}

static void settle(struct chase *c)
{
    int status = worst(c);
    if (status != ARES_ENODATA) { /* half an answer is none */
        finish(c, status);
        return;
    }
    collect(c);
    if (c->out.n || c->out.nservices) {
        finish(c, ARES_SUCCESS);
    } else if (c->next[0] && !is_disowned(c) && c->hops++ < HOPS_MAX && !c->r->closing) {
        memcpy(c->name, c->next, sizeof c->name);
        if (!c->service && resolver_known(c->r, c->name, &c->out)) {
            finish(c, ARES_SUCCESS);
        } else {
            ask(c);
        }
    } else {
        finish(c, status);
    }
}

static bool is_no_answer(int status)
{
    return status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED || status == ARES_EBADRESP ||
           status == ARES_EFORMERR;
}

static void query(struct question *q);

static void on_reply(void *arg, int status, int timeouts, unsigned char *buf, int n)
{
    struct question *q = arg;
    struct chase *c = q->c;
    (void)timeouts;
    if (status == ARES_SUCCESS) {
        q->n = c->out.nservices = 0;
        status = read_answer(q, buf, n);
    }
    if (is_no_answer(status) && !c->r->closing && ++c->tries < TRIES_MAX) {
        c->channel = resolver_next_channel(c->r);
        query(q);
        return;
    }
    q->status = status;
    q->n = status == ARES_SUCCESS ? q->n : 0;
    if (--c->pending == 0) {
        settle(c);
    }
}

static void query(struct question *q)
{
    resolver *r = q->c->r;
    ares_query(q->c->channel, q->c->name, CLASS_IN, q->type, on_reply, q);
    resolver_arm(r);
}

static void ask(struct chase *c)
{
    const struct resolver_args *a = &c->r->args;
    c->next[0] = '\0';
    c->tries = 0;
    c->channel = resolver_next_channel(c->r);
    c->q[0] = (struct question){.c = c, .type = c->service ? TYPE_SRV : a->ipv4 ? TYPE_A : 0};
    c->q[1] = (struct question){.c = c, .type = !c->service && a->ipv6 ? TYPE_AAAA : 0};
    c->pending = c->service ? 1 : a->ipv4 + a->ipv6; /* before the first: an answer may come at once */
    int types[2] = {c->q[0].type, c->q[1].type};
    for (int i = 0, left = c->pending; i < 2; i++) {
        if (types[i]) {
            left--;
            query(&c->q[i]);
            if (!left) {
                return; /* c may be gone */
            }
        }
    }
}

static void start(resolver *r, const char *name, bool service, chase_done *done, void *arg)
{
    struct chase *c = calloc(1, sizeof *c);
    REQUIRE(c != NULL);
    c->service = service;
    c->r = r;
    c->done = done;
    c->arg = arg;
    c->out.ttl_s = INT64_MAX;
    size_t n = strlen(name);
    memcpy(c->name, name, n < NAME_ROOM ? n : NAME_ROOM - 1);
    ask(c);
}

void chase_start(resolver *r, const char *name, chase_done *done, void *arg)
{
    start(r, name, false, done, arg);
}

void chase_service(resolver *r, const char *name, chase_done *done, void *arg)
{
    start(r, name, true, done, arg);
}
