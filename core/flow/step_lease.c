/* step_lease.c — a connection to the chosen peer: from its pool, or connected and handshaken anew. */
#include "back/client.h"
#include "back/group.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/attempt.h"
#include "flow/dial.h"
#include "flow/forward.h"
#include "flow/grpc.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/tmpl.h"
#include "shm/stats.h"

static str tls_name(req *r)
{
    if (!r->group->tls) {
        return STR_EMPTY;
    }
    if (r->route->tls_name) {
        return tmpl_eval(r->route->tls_name, r);
    }
    return r->host.n ? r->host : r->group->name;
}

static int start_lease(req *r)
{
    struct lease_args a = {
        .fresh = r->pick_fresh,
        .pooled = r->route->c->upstream_keepalive && !forward_upgrades(r),
        .h2 = (r->group->own.http2 || r->route->c->upstream_http == CONF_HTTP_2) && !forward_upgrades(r),
        .tls = r->group->tls,
        .tls_name = tls_name(r),
        .user = &r->job,
    };
    r->pick_fresh = false;
    r->lease_started = true;
    r->fetching = r->fetched = true;
    fetch_init(&r->fetch, &r->pool, r->l, &r->job);
    r->fetch.method = (enum method)r->in.method;
    r->fetch.head_max = (uint32_t)r->route->c->buffer_head;
    if (UNLIKELY(r->route->exchange != NULL)) {
        int rc = dial_args(r, &a);
        if (rc < 0) {
            return rc;
        }
    }
    return lease_start(&r->fetch.lease, r->l, attempt_now(r)->peer, &a);
}

/* Not usable at once, or not as HTTP/1. */
static COLD int lease_on(req *r, int rc)
{
    if (rc == ERR_AGAIN) {
        return req_wait_here(r, REQ_WAIT_CONNECT, r->route->c->connect_timeout, 0);
    }
    if (rc == 0) {
        grpc_arm(r);
        rc = h2_client_attach(&r->fetch);
    }
    return rc < 0 ? attempt_failed(r, rc) : 0;
}

int step_lease(req *r)
{
    int rc = r->timed_out ? ERR_TIMEOUT : r->lease_started ? lease_wait(&r->fetch.lease) : start_lease(r);
    if (UNLIKELY(rc != 0 || r->fetch.lease.h2) && (rc = lease_on(r, rc)) != 0) {
        return rc;
    }
    attempt *a = attempt_now(r);
    a->reused = r->fetch.lease.reused;
    stats_add(a->reused ? STAT_UPSTREAM_REUSED : STAT_UPSTREAM_CONNECTS, 1);
    a->connect_us = clock_us();
    return STEP_NEXT;
}
