/* conn.c — see conn.h. */
#include "front/conn.h"

#include "base/cells.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/realip.h"
#include "flow/req.h"
#include "http/h1_parse.h"
#include "http/proxyproto.h"
#include "shm/stats.h"
#include "tls/stream_tls.h"

#include <unistd.h>

enum { LINGER_MS = 5000, LINGER_ALL_MS = 30000, PROXY_MAX = 4096 };

/* Connections live long: in a region of their own, away from what requests come and go with. */
static cells conns = CELLS((sizeof(conn) + 15) / 16 * 16);

const plan_listen *conn_listen(const conn *c)
{
    return &c->fl->plan->listens[c->fl->index];
}

h1_limits conn_head_limits(const conn *c)
{
    const struct conf_listen *l = conn_listen(c)->c;
    return (h1_limits){
        .head = (uint32_t)l->head_size,
        .target = (uint32_t)l->target_size,
        .fields = (uint16_t)l->head_fields,
        .first = (uint32_t)l->first_buffer,
        .line = (uint32_t)l->line_size,
        .buffers = (uint32_t)l->line_buffers,
        .bare_lf = l->bare_lf,
        .drop_underscore = l->drop_underscore,
        .drop_invalid = l->drop_invalid,
    };
}

void conn_tell(stream *s, req *r)
{
    conn *c = container_of(s, conn, s);
    conn_introduce(c, r);
    c->requests--;
}

void conn_introduce(conn *c, req *r)
{
    r->client.peer = c->peer;
    r->client.addr = c->peer;
    if (!c->ip_n && c->peer.sa.sa_family == AF_INET) {
        c->ip_n = (uint8_t)addr_print_ip(&c->peer, c->ip, sizeof c->ip);
    }
    memcpy(r->client.ip_text, c->ip, sizeof c->ip); /* the request may outlive the connection */
    r->client.ip = str_of(r->client.ip_text, c->ip_n);
    r->client.pipelined = c->pipelined;
    r->client.tls = (c->s.flags & STREAM_TLS) != 0;
    r->client.conn_id = c->id;
    r->proxy = c->proxy ? mem_ref(c->proxy) : NULL;
    r->client.conn_requests = ++c->requests;
    r->client.opened_ms = c->opened_ms;
    r->client.stream = &c->s;
    r->client.facts = NULL;
    if (r->client.tls) {
        struct stream_tls_facts tls;
        stream_tls_facts(&c->s, &tls);
        r->client.tls_protocol = tls.protocol; /* static text */
        r->client.tls_cipher = tls.cipher;
        r->client.tls_name = pool_dup(&r->pool, tls.server_name);
    }
}

void conn_set_idle(conn *c, bool idle)
{
    if (c->idle != idle) {
        c->idle = idle;
        stats_add(STAT_CONNS_IDLE, idle ? 1 : (uint64_t)-1);
        c->f->nidle += idle ? 1u : (uint32_t)-1;
    }
}

void conn_set_reading(conn *c, bool reading)
{
    if (c->reading != reading) {
        c->reading = reading;
        stats_add(STAT_CONNS_READING, reading ? 1 : (uint64_t)-1);
    }
}

void conn_enter(conn *c, enum conn_state to)
{
    if (to != CONN_HEAD) {
        conn_set_reading(c, false);
    }
    c->state = (uint8_t)to;
}

static void unpin(conn *c)
{
    plan *p = c->pinned;
    c->pinned = NULL;
    plan_unref(p);
}

void conn_close(conn *c)
{
    front *f = c->f;
    if (c->h2) {
        h2_server_kill(c, ERR_CLIENT_GONE);
    }
    conn_set_idle(c, false);
    conn_set_reading(c, false);
    timer_stop(&c->timer);
    job_cancel(&c->job);
    stream_close(&c->s);
    mem_unref(c->proxy);
    unpin(c);
    list_remove(&c->node);
    f->nconns--;
    stats_sub(STAT_CONNS_ACTIVE, 1);
    front_listener_unref(c->fl);
    cells_give(&conns, c);
    if (f->draining && f->nconns == 0 && f->on_drained) {
        f->on_drained(f->on_drained_arg);
    }
}

/* -- lingering close: RFC 9112 §9.6, so that the client gets the answer before a reset */

void conn_linger(conn *c)
{
    conn_set_idle(c, false);
    if (c->s.flags & (STREAM_DEAD | STREAM_EOF)) {
        conn_close(c);
        return;
    }
    int rc = stream_shut(&c->s);
    if (rc < 0 && rc != ERR_AGAIN) {
        conn_close(c);
        return;
    }
    c->linger_until_ms = clock_ms() + c->times.linger_all_ms;
    conn_enter(c, CONN_LINGER);
    c->s.flags |= STREAM_READABLE | STREAM_PROBE; /* a reset may hide behind bytes that were read */
    timer_set(c->f->l, &c->timer, c->times.linger_ms);
    job_wake(c->f->l, &c->job);
}

static void run_linger(conn *c)
{
    if (stream_queued(&c->s) || (c->s.flags & STREAM_TLS)) {
        int rc = stream_shut(&c->s); /* goes on where it had to stop */
        if (rc < 0 && rc != ERR_AGAIN) {
            conn_close(c);
            return;
        }
    }
    for (;;) {
        stream_consume(&c->s, stream_in(&c->s).n);
        ssize_t n = stream_fill(&c->s, 65536);
        if (n == ERR_AGAIN) {
            return;
        }
        if (n < 0 || clock_ms() > c->linger_until_ms) {
            conn_close(c);
            return;
        }
        timer_set(c->f->l, &c->timer, c->times.linger_ms);
    }
}

/* -- before HTTP */

static void start_h1(conn *c)
{
    conn_enter(c, CONN_HEAD);
    h1_server_run(c);
}

/* RFC 9113 §3.3: who knows beforehand that we speak HTTP/2 begins with this. */
static void run_sniff(conn *c)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    enum { WHOLE = sizeof preface - 1, METHOD = 4 };
    for (;;) {
        str in = stream_in(&c->s);
        size_t n = in.n < WHOLE ? in.n : WHOLE;
        if (n && memcmp(in.p, preface, n) != 0) {
            if (n >= METHOD && memcmp(in.p, preface, METHOD) == 0) {
                h1_server_refuse(c, ERR_BAD_START_LINE); /* no request has that method */
            } else {
                start_h1(c);
            }
            return;
        }
        if (n == WHOLE) {
            h2_server_start(c);
            return;
        }
        ssize_t got = stream_fill(&c->s, PROXY_MAX);
        if (got < 0) {
            if (got != ERR_AGAIN) {
                conn_close(c);
            }
            return;
        }
    }
}

/* Whoever answers for unknown hosts decides for a client whose host is not known yet. */
static bool may_be_h2(const plan_listen *l)
{
    return l->c->http2 && (!l->def || l->def->c->http2);
}

static void start_plain(conn *c)
{
    if (UNLIKELY(may_be_h2(conn_listen(c)))) {
        conn_enter(c, CONN_SNIFF);
        run_sniff(c);
    } else {
        start_h1(c);
    }
}

static void start_tls(conn *c)
{
    tls_server *t = conn_listen(c)->tls;
    if (!t) {
        start_plain(c);
        return;
    }
    if (stream_tls_server(&c->s, t) < 0) {
        conn_close(c);
        return;
    }
    c->pinned = plan_ref(c->fl->plan);
    conn_enter(c, CONN_TLS);
    job_wake(c->f->l, &c->job);
}

static void run_tls(conn *c)
{
    int rc = stream_tls_handshake(&c->s);
    if (rc != ERR_AGAIN) {
        unpin(c);
    }
    if (rc == 0) {
        struct stream_tls_facts facts;
        stream_tls_facts(&c->s, &facts);
        stats_add(facts.resumed ? STAT_HANDSHAKES_RESUMED : STAT_HANDSHAKES, 1);
        if (str_eq(facts.alpn, STR("h2"))) {
            h2_server_start(c);
        } else {
            start_h1(c);
        }
    } else if (rc == ERR_PLAIN_ON_TLS) {
        h1_server_refuse(c, rc);
    } else if (rc != ERR_AGAIN) {
        stats_add(STAT_HANDSHAKES_FAILED, 1);
        log_info("conn=%llx TLS handshake failed: %s", (unsigned long long)c->id, stream_tls_error(&c->s));
        conn_close(c);
    }
}

/* Whose word about the client counts: the networks that the listener's sites trust. Where no site names any, whoever can reach the listener. */
static bool is_believed(const conn *c)
{
    const plan *p = c->fl->plan;
    const struct conf_ints *sites = &conn_listen(c)->c->sites;
    bool named = false;
    for (int i = 0; i < sites->n; i++) {
        const trust *t = p->sites[sites->v[i]].trust;
        named = named || t;
        if (t && trust_has(t, &c->peer)) {
            return true;
        }
    }
    return !named;
}

static addr proxy_address(const proxyproto *pp, const uint8_t *bytes, uint16_t port)
{
    addr a = {0};
    if (pp->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, bytes, 4);
        addr_from_sockaddr(&a, (const struct sockaddr *)(const void *)&in, sizeof in);
    } else if (pp->family == 6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&in6.sin6_addr, bytes, 16);
        addr_from_sockaddr(&a, (const struct sockaddr *)(const void *)&in6, sizeof in6);
    }
    return a;
}

/* Kept for variables and real IP. In nginx's manners that is all: the peer stays who connected, and realip decides. */
static int apply_proxy(conn *c, const proxyproto *pp)
{
    bool nginx = c->fl->plan->conf->g.manners == CONF_MANNERS_NGINX;
    if (!nginx && pp->reserved) {
        return ERR_INVALID;
    }
    if (!nginx && !is_believed(c)) {
        return 0;
    }
    c->proxy = mem_try_new(sizeof(proxy_facts) + pp->tlvs.n);
    if (!c->proxy) {
        return ERR_MEM;
    }
    proxy_facts *f = (proxy_facts *)(void *)c->proxy->data;
    char *room = (char *)(f + 1);
    if (pp->tlvs.n) {
        memcpy(room, pp->tlvs.p, pp->tlvs.n);
    }
    *f = (proxy_facts){proxy_address(pp, pp->src, pp->src_port), proxy_address(pp, pp->dst, pp->dst_port), str_of(room, pp->tlvs.n)};
    if (!nginx && f->src.len) {
        c->peer = f->src;
    }
    return 0;
}

static void run_proxy(conn *c)
{
    for (;;) {
        proxyproto pp;
        int n = stream_in(&c->s).n ? proxyproto_parse(stream_in(&c->s), &pp) : ERR_AGAIN;
        if (n > 0) {
            if (apply_proxy(c, &pp) < 0 || front_address_is_full(c->f, &c->peer, c)) {
                c->f->refused++;
                conn_close(c);
                return;
            }
            stream_consume(&c->s, (size_t)n);
            start_tls(c);
            return;
        }
        ssize_t got = n == ERR_AGAIN ? stream_fill(&c->s, PROXY_MAX) : n;
        if (got == ERR_AGAIN) {
            return;
        }
        if (got < 0) {
            conn_close(c);
            return;
        }
    }
}

static void on_job(job *j)
{
    conn *c = container_of(j, conn, job);
    switch ((enum conn_state)c->state) {
    case CONN_PROXY:
        run_proxy(c);
        break;
    case CONN_TLS:
        run_tls(c);
        break;
    case CONN_LINGER:
        run_linger(c);
        break;
    case CONN_SNIFF:
        run_sniff(c);
        break;
    case CONN_H2:
        h2_server_run(c);
        break;
    case CONN_HEAD:
    case CONN_REQUEST:
    case CONN_DRAIN:
    case CONN_DISCARD:
        h1_server_run(c);
        break;
    }
}

static void on_timeout(timer *t)
{
    conn *c = container_of(t, conn, timer);
    switch ((enum conn_state)c->state) {
    case CONN_PROXY:
    case CONN_TLS:
    case CONN_SNIFF:
    case CONN_LINGER:
        conn_close(c);
        break;
    case CONN_H2:
        h2_server_timeout(c);
        break;
    case CONN_HEAD:
    case CONN_REQUEST:
    case CONN_DRAIN:
    case CONN_DISCARD:
        h1_server_timeout(c);
        break;
    }
}

void conn_open(front_listener *fl, int fd, const addr *from)
{
    front *f = fl->f;
    conn *c = cells_take(&conns);
    if (!c) {
        close(fd);
        return;
    }
    memset(c, 0, sizeof *c);
    if (stream_open(&c->s, f->l, fd, &c->job, 0) < 0) {
        cells_give(&conns, c);
        return;
    }
    c->f = f;
    c->fl = fl;
    fl->refs++;
    c->peer = *from;
    c->id = f->next_id++;
    c->opened_ms = clock_ms();
    c->times.linger_ms = LINGER_MS;
    c->times.linger_all_ms = LINGER_ALL_MS;
    job_init(&c->job, on_job);
    timer_init(&c->timer, on_timeout);
    list_push_back(&f->conns, &c->node);
    f->nconns++;
    f->accepted++;
    stats_add(STAT_CONNS_ACCEPTED, 1);
    stats_add(STAT_CONNS_ACTIVE, 1);
    timer_set(f->l, &c->timer, conn_listen(c)->c->header_timeout);
    conn_enter(c, CONN_PROXY);
    if (conn_listen(c)->c->proxy_protocol) {
        run_proxy(c); /* read right after accept */
    } else {
        start_tls(c);
    }
}
