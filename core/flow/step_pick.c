/* step_pick.c — chooses a peer: the body is held first where it must be, the balance hook may have a say. */
#include "back/group.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/attempt.h"
#include "flow/body.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/tmpl.h"

enum { RESOLVE_SLACK_MS = 1000 };

static peer *pick_among(req *r, peer *const *tried, int ntried)
{
    struct pick_args a = {.tried = tried, .ntried = ntried, .now_ms = clock_ms(), .client = &r->client.addr};
    tmpl *key = LIKELY(r->group == r->route->group) ? r->route->hash_key : plan_hash_key(r->plan, r->group);
    if (key) {
        a.key = tmpl_eval(key, r);
    }
    return group_pick(r->group, &a);
}

static COLD peer *pick_again(req *r)
{
    peer *tried[REQ_MAX_ATTEMPTS];
    if (r->pick_fresh) {
        const peer *same = attempt_now(r)->peer;
        return group_pick_named(r->group, str_of(same->text, same->text_n), clock_ms());
    }
    int first = attempt_first(r);
    for (int i = first; i < r->nattempts; i++) {
        tried[i - first] = r->attempts[i].peer;
    }
    return pick_among(r, tried, r->nattempts - first);
}

static peer *pick_peer(req *r)
{
    if (UNLIKELY(r->pinned_peer.n && !r->pick_fresh)) {
        str pinned = r->pinned_peer;
        r->pinned_peer = STR_EMPTY;
        return group_pick_named(r->group, pinned, clock_ms());
    }
    return LIKELY(!r->nattempts) ? pick_among(r, NULL, 0) : pick_again(r);
}

/* The upstream is asked once the whole body is here: when the route says so, or when its length must be known (HTTP/1.0). */
static bool must_hold_body(const req *r)
{
    const struct conf_route *c = r->route->c;
    return r->body && (c->buffer_request || c->body_in_file || (c->upstream_http == 0 && r->in.body == MSG_BODY_CHUNKED));
}

static int hold_body(req *r)
{
    int rc = r->timed_out ? ERR_CLIENT_TIMEOUT : body_hold(r);
    if (rc == ERR_AGAIN) {
        return req_wait_here(r, REQ_WAIT_CLIENT_BODY, r->route->c->body_timeout, r->received);
    }
    req_deadline(r, 0);
    return rc;
}

static int run_balance_hook(req *r)
{
    int rc = flow_hooks->run(r, PHASE_BALANCE);
    if (rc == ERR_AGAIN) {
        r->wait = REQ_WAIT_SCRIPT;
        return STEP_WAIT_HERE;
    }
    return rc == HOOK_ANSWER ? STEP_JUMP | STEP_REPLY : rc < 0 ? rc : STEP_NEXT;
}

/* What is unusual about this exchange: another body, a target of its own. */
static COLD int prepare_exchange(req *r)
{
    int rc = r->timed_out ? ERR_CLIENT_TIMEOUT : attempt_prepare(r);
    if (rc == ERR_AGAIN) {
        return req_wait_here(r, REQ_WAIT_CLIENT_BODY, r->route->c->body_timeout, r->received);
    }
    return rc;
}

/* The look-up ends by its own deadline; this one is for those who wait for a group of the gateway's resolver. */
static int64_t resolve_patience(const req *r)
{
    int i = r->route->c->resolver;
    return i >= 0 ? r->plan->conf->g.resolvers.v[i].timeout + RESOLVE_SLACK_MS : r->route->c->connect_timeout;
}

/* In nginx's dialect a request that could try more peers than it has tried, but finds none, says so; one that has tried all ends as its
 * last attempt did. */
static COLD int nobody_left(req *r)
{
    if (r->group->unresolved && !r->nattempts) {
        return ERR_RESOLVE;
    }
    bool more = r->group->own.passive == CONF_PASSIVE_NGINX && r->nattempts < group_tries(r->group);
    if (attempt_count(r) && attempt_now(r)->err < 0 && !more) {
        return attempt_now(r)->err;
    }
    if (more && r->nattempts < REQ_MAX_ATTEMPTS) {
        attempt_refused(r);
    }
    return ERR_NO_PEER;
}

int step_pick(req *r)
{
    int rc = must_hold_body(r) ? hold_body(r) : UNLIKELY(r->route->c->hold_ready) && r->body ? body_hold_if_here(r) : 0;
    if (rc != 0) {
        return rc;
    }
    if (UNLIKELY(r->route->exchange != NULL) && (rc = prepare_exchange(r)) != 0) {
        return rc;
    }
    if ((r->route->hooks & (1u << PHASE_BALANCE)) && (rc = run_balance_hook(r)) != STEP_NEXT) {
        return rc;
    }
    if (r->timed_out) {
        return r->armed_for == REQ_WAIT_RESOLVE && r->group->own.passive == CONF_PASSIVE_NGINX ? ERR_RESOLVE : ERR_TIMEOUT;
    }
    if (!r->nattempts) {
        group_count_request(r->group, clock_ms());
    }
    peer *p = pick_peer(r);
    if (UNLIKELY(!p)) {
        if (r->group->unresolved && group_wait_resolved(r->group, &r->job)) {
            return req_wait_here(r, REQ_WAIT_RESOLVE, resolve_patience(r), 0);
        }
        return nobody_left(r);
    }
    req_deadline(r, 0);
    attempt_new(r, p);
    r->lease_started = false;
    return STEP_NEXT;
}
