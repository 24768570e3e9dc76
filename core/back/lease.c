/* lease.c — idle connection or connect (+ TLS) → a usable upstream stream.
 *
 * States: IDLE → CONNECTING → HANDSHAKE → READY. The request's timer carries the connect deadline; it fires into the request, which calls lease_end. */
#include "back/lease.h"

#include "back/group.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "net/connect.h"
#include "net/idle.h"
#include "net/idle_conn.h"
#include "tls/ctx.h"
#include "tls/stream_tls.h"

#include <sys/socket.h>

enum { LEASE_IDLE, LEASE_CONNECTING, LEASE_HANDSHAKE, LEASE_READY };

/* What a connection was opened for: the TLS settings, with TLS the name that its certificate was checked against, and what the caller says. */
static uint64_t tag_of(const peer *p, const struct lease_args *a)
{
    uint64_t tag = p->g->config_tag ^ a->tag;
    if (UNLIKELY(a->tls != NULL)) {
        tag ^= hash_keyed(a->tls_name, tls_client_id(a->tls), 1);
    }
    return a->h2 ? ~tag : tag;
}

static bool conn_is_fit(const lease *le, const idle_conn *c)
{
    const peer *p = le->p;
    const struct conf_upstream *u = p->g->conf;
    return c->tag == le->tag &&
           (u->keepalive_requests == 0 || (int64_t)c->requests < u->keepalive_requests);
}

/* Too old to be parked again; one that is parked may still serve once. */
static bool conn_is_old(const lease *le, const idle_conn *c)
{
    int64_t most = le->p->g->conf->keepalive_time;
    return most > 0 && clock_ms() - c->born_ms > most;
}

/* keepalive counts the idle connections of a group: the one parked first goes. */
static COLD void make_room(const group *g)
{
    idle_conn *oldest = NULL;
    LIST_EACH(it, &g->peers)
    {
        const idle_pool *parked = &list_item(it, peer, node)->idle;
        idle_conn *c = parked->n ? list_item(parked->conns.prev, idle_conn, node) : NULL;
        if (c && (!oldest || c->parked_ms < oldest->parked_ms)) {
            oldest = c;
        }
    }
    idle_conn_free(oldest);
}

static idle_conn *take_pooled(const lease *le)
{
    idle_conn *c;
    while ((c = idle_take(&le->p->idle)) != NULL) {
        if (conn_is_fit(le, c)) {
            return c;
        }
        idle_conn_free(c);
    }
    return NULL;
}

static int fail(lease *le, int err)
{
    lease_end(le, false);
    return err;
}

/* Where the peer's last session is kept: one that was made with other settings, or for another name, is of no use. */
static void **session_slot(const lease *le)
{
    peer *p = le->p;
    if (le->no_resume) {
        return NULL;
    }
    if (p->tls_session && p->tls_session_tag != le->tag) {
        stream_tls_session_free(p->tls_session);
        p->tls_session = NULL;
    }
    p->tls_session_tag = le->tag;
    return &p->tls_session;
}

static int start_handshake(lease *le)
{
    le->state = LEASE_HANDSHAKE;
    int rc = stream_tls_client(&le->c->s, le->tls, le->tls_name, session_slot(le));
    return rc < 0 ? fail(le, rc) : lease_wait(le);
}

/* A connection of its own: `at` or the peer's address. */
static NOINLINE int connect_anew(lease *le, loop *l, const struct lease_args *a)
{
    le->c = idle_conn_new();
    le->c->tag = le->tag;
    int rc = connect_start(&le->c->s, l, a->at ? a->at : &le->p->at, a->bind, a->user);
    if (rc < 0) {
        return fail(le, rc == ERR_INVALID ? ERR_UNREACHABLE : rc); /* an address that names no way there */
    }
    if (UNLIKELY(a->tcp_keepalive)) {
        int on = 1;
        (void)setsockopt(le->c->s.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    le->state = LEASE_CONNECTING;
    return lease_wait(le);
}

int lease_start(lease *le, loop *l, peer *p, const struct lease_args *a)
{
    *le = (lease){.p = p, .tag = tag_of(p, a), .tls = a->tls, .tls_name = a->tls_name};
    le->pooled = a->pooled;
    le->h2 = le->h2_wanted = a->h2;
    le->no_resume = a->no_resume;
    le->c = a->fresh || !a->pooled ? NULL : take_pooled(le);
    if (UNLIKELY(!le->c)) {
        return connect_anew(le, l, a);
    }
    le->reused = true;
    le->state = LEASE_READY;
    le->c->s.user = a->user;
    le->h2 = le->h2 && le->c->owner_data; /* its session; without one the peer chose HTTP/1 */
    return 0;
}

static bool chose_h2(const stream *s)
{
    struct stream_tls_facts facts;
    stream_tls_facts(s, &facts);
    return str_eq(facts.alpn, STR("h2"));
}

int lease_wait(lease *le)
{
    if (le->state == LEASE_CONNECTING) {
        int rc = connect_finish(&le->c->s);
        if (rc == ERR_AGAIN) {
            return rc;
        }
        if (rc < 0) {
            return fail(le, rc);
        }
        le->state = LEASE_READY;
        if (le->tls) {
            return start_handshake(le);
        }
    }
    if (le->state == LEASE_HANDSHAKE) {
        int rc = stream_tls_handshake(&le->c->s);
        if (rc == ERR_AGAIN) {
            return rc;
        }
        if (rc < 0) {
            return fail(le, rc);
        }
        le->state = LEASE_READY;
        le->h2 = le->h2 && chose_h2(&le->c->s);
    }
    return le->state == LEASE_READY ? 0 : ERR_IO;
}

void lease_end(lease *le, bool reusable)
{
    idle_conn *c = le->c;
    if (!c) {
        return;
    }
    le->c = NULL;
    c->requests++;
    if (reusable && le->state == LEASE_READY && !le->p->gone && conn_is_fit(le, c) && !conn_is_old(le, c)) {
        c->s.flags &= (uint16_t)~STREAM_PROBE;
        if (UNLIKELY(le->p->idle.max && le->p->g->nidle >= le->p->idle.max)) {
            make_room(le->p->g);
        }
        idle_park(c->s.l, &le->p->idle, c);
    } else {
        idle_conn_free(c);
    }
    le->state = LEASE_IDLE;
}
