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
#include "tls/stream_tls.h"

enum { LEASE_IDLE, LEASE_CONNECTING, LEASE_HANDSHAKE, LEASE_READY };

/* What a connection was opened for: the TLS settings, and with TLS the name that its certificate was checked against. */
static uint64_t tag_of(const lease *le)
{
    const group *g = le->p->g;
    uint64_t tag = g->tls && le->tls_name.n ? g->config_tag ^ hash_keyed(le->tls_name, 1, 0) : g->config_tag;
    return le->h2_wanted ? ~tag : tag;
}

static bool conn_is_fit(const lease *le, const idle_conn *c)
{
    const peer *p = le->p;
    const struct conf_upstream *u = p->g->conf;
    return c->tag == tag_of(le) &&
           (u->keepalive_requests == 0 || (int64_t)c->requests < u->keepalive_requests) &&
           (u->keepalive_time == 0 || clock_ms() - c->born_ms <= u->keepalive_time);
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

static int start_handshake(lease *le)
{
    group *g = le->p->g;
    le->state = LEASE_HANDSHAKE;
    int rc = stream_tls_client(&le->c->s, g->tls, le->tls_name, &le->p->tls_session);
    return rc < 0 ? fail(le, rc) : lease_wait(le);
}

int lease_start(lease *le, loop *l, peer *p, const struct lease_args *a)
{
    *le = (lease){.p = p, .tls_name = a->tls_name};
    le->pooled = a->pooled;
    le->h2 = le->h2_wanted = a->h2;
    le->c = a->fresh || !a->pooled ? NULL : take_pooled(le);
    if (le->c) {
        le->reused = true;
        le->state = LEASE_READY;
        le->c->s.user = a->user;
        le->h2 = le->h2 && le->c->owner_data; /* its session; without one the peer chose HTTP/1 */
        return 0;
    }
    le->c = idle_conn_new();
    le->c->tag = tag_of(le);
    int rc = connect_start(&le->c->s, l, &p->at, NULL, a->user);
    if (rc < 0) {
        return fail(le, rc);
    }
    le->state = LEASE_CONNECTING;
    return lease_wait(le);
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
        if (le->p->g->tls) {
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
    if (reusable && le->state == LEASE_READY && !le->p->gone && conn_is_fit(le, c)) {
        c->s.flags &= (uint16_t)~STREAM_PROBE;
        idle_park(c->s.l, &le->p->idle, c);
    } else {
        idle_conn_free(c);
    }
    le->state = LEASE_IDLE;
}
