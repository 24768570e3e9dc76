/* retry.c — see retry.h. Pure: no clock, no state, so that the rules can be read and tested as a
 * table. */
#include "back/retry.h"

#include "base/err.h"

enum { MAX_STALE = 3, MAX_STALE_LISTED = 16 };

static bool may_repeat(const struct conf_route *r, const struct retry_facts *f)
{
    return method_is_idempotent(f->method) || r->retry_non_idempotent;
}

/* Faults of ours, of the client or of the message itself: another peer would not help. */
static bool is_final(int err)
{
    switch (err) {
    case ERR_CLIENT_GONE:
    case ERR_CLIENT_TIMEOUT:
    case ERR_BODY_TOO_LARGE:
    case ERR_HEAD_TOO_LARGE:
    case ERR_CANCELLED:
    case ERR_MEM:
    case ERR_LIMIT:
    case ERR_SHUTDOWN:
    case ERR_IDENTITY:
        return true;
    default:
        return false;
    }
}

/* Did a connection from the pool turn out to be dead? The server closed it while it was idle, which
 * is no failure of the server. */
static bool is_stale(const struct retry_facts *f)
{
    bool ended = f->err == ERR_UPSTREAM_CLOSED || f->err == ERR_EOF || f->err == ERR_RESET ||
                 f->err == ERR_IO || f->err == ERR_TLS_EOF;
    return f->reused && !f->got_bytes && ended;
}

enum retry_verdict retry_decide(const struct conf_route *r, const struct retry_facts *f)
{
    if (is_final(f->err) || !f->body_replayable) {
        return RETRY_NO;
    }
    if (!f->connected) { /* nothing was sent: any method */
        return f->attempts < r->tries ? RETRY_NEXT : RETRY_NO;
    }
    if (f->sent && !may_repeat(r, f)) {
        return RETRY_NO;
    }
    if (is_stale(f)) {
        return f->stale_retries < MAX_STALE ? RETRY_SAME : RETRY_NO;
    }
    if (f->attempts >= r->tries) {
        return RETRY_NO;
    }
    if (f->err == 0) {
        return RETRY_NEXT; /* a listed status */
    }
    if (f->got_bytes || (f->err == ERR_TIMEOUT && !r->retry_timeout)) {
        return RETRY_NO;
    }
    return RETRY_NEXT;
}

unsigned retry_reason_of_status(int status)
{
    switch (status) {
    case 500:
        return RETRY_ON_500;
    case 502:
        return RETRY_ON_502;
    case 503:
        return RETRY_ON_503;
    case 504:
        return RETRY_ON_504;
    case 403:
        return RETRY_ON_403;
    case 404:
        return RETRY_ON_404;
    case 429:
        return RETRY_ON_429;
    default:
        return 0;
    }
}

static unsigned reason_of(const struct retry_facts *f)
{
    switch (f->err) {
    case 0:
        return retry_reason_of_status(f->status);
    case ERR_TIMEOUT:
        return RETRY_ON_TIMEOUT;
    case ERR_BAD_STATUS:
    case ERR_UPSTREAM_HEAD:
    case ERR_UPSTREAM_PROTOCOL:
    case ERR_UPSTREAM_REJECTED: /* a reset of HTTP/2 instead of an answer */
        return RETRY_ON_INVALID;
    default:
        return RETRY_ON_ERROR;
    }
}

static bool is_unsafe(const struct retry_facts *f)
{
    return f->connected && (f->method == METHOD_POST || f->method == METHOD_PATCH || f->method == METHOD_OTHER);
}

enum retry_verdict retry_decide_listed(const struct conf_route *r, const struct retry_facts *f)
{
    const struct conf_exchange *x = &r->exchange.v[0];
    unsigned why = reason_of(f);
    if (is_final(f->err) || !why || !f->body_replayable || (f->connected && f->streamed)) {
        return RETRY_NO;
    }
    bool free = f->reused && why == RETRY_ON_ERROR; /* the peer closed it while it was idle */
    int tries = f->peers;
    if (r->tries > 0 && r->tries < tries) {
        tries = (int)r->tries;
    }
    why |= is_unsafe(f) ? RETRY_ON_UNSAFE : 0;
    if (((unsigned)x->retry_on & why) != why || (!free && f->attempts >= tries) || (x->retry_for && f->spent_ms >= x->retry_for)) {
        return RETRY_NO;
    }
    if (free) {
        return f->stale_retries >= MAX_STALE_LISTED ? RETRY_NO : f->peers > 1 ? RETRY_FREE : RETRY_SAME;
    }
    return RETRY_NEXT;
}

/* "503" or "5xx". */
static bool matches(str pattern, int status)
{
    if (pattern.n != 3) {
        return false;
    }
    const int digits[3] = {status / 100 % 10, status / 10 % 10, status % 10};
    for (int i = 0; i < 3; i++) {
        if (pattern.p[i] != 'x' && pattern.p[i] != '0' + digits[i]) {
            return false;
        }
    }
    return true;
}

bool retry_status_listed(const struct conf_strs *list, int status)
{
    for (int i = 0; i < list->n; i++) {
        if (matches(list->v[i], status)) {
            return true;
        }
    }
    return false;
}
