/* steps.c — the life of one request. This table is the program's table of contents: rows run in order, a step falls through to the next row
 * unless it says otherwise, and may jump only to the rows listed beside it. Up to reply an error page, or another internal redirect, leads to route (another URI) or
 * rewrite (a named route).
 *
 *   step      may wait for              may jump to
 *   admit     -                         reply (refused)
 *   route     -                         pick (no hook, no answer of our own), reply
 *   rewrite   script                    route (another URI), reply
 *   limit     its turn                  reply
 *   access    script, sub-request       route, reply
 *   mirror    client body               reply
 *   content   script, client body       route, reply
 *   lookup    -                         reply
 *   pick      script, resolve           reply
 *   lease     connect, handshake        pick, reply
 *   send      client body, writable     pick, reply
 *   await     head, deadline            pick, reply
 *   reply     script, writable          route, finish
 *   stream    data, window, tunnel      finish
 *   finish    writable                  -
 *   log       script                    -
 */
#include "flow/steps.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/error.h"
#include "flow/hook.h"
#include "shm/stats.h"

#define TO(s) (1u << STEP_##s)
/* Another URI or a named route: an error page, or what else redirects internally. */
#define AWAY (TO(ROUTE) | TO(REWRITE))

static const struct step_row {
    const char *name;
    int (*run)(req *r);
    unsigned jumps;
} rows[STEP_COUNT] = {
    [STEP_ADMIT] = {"admit", step_admit, TO(REPLY) | AWAY},
    [STEP_ROUTE] = {"route", step_route, TO(PICK) | TO(REPLY) | AWAY},
    [STEP_REWRITE] = {"rewrite", step_rewrite, TO(REPLY) | AWAY},
    [STEP_LIMIT] = {"limit", step_limit, TO(REPLY) | AWAY},
    [STEP_ACCESS] = {"access", step_access, TO(REPLY) | AWAY},
    [STEP_MIRROR] = {"mirror", step_mirror, TO(REPLY) | AWAY},
    [STEP_CONTENT] = {"content", step_content, TO(REPLY) | AWAY},
    [STEP_LOOKUP] = {"lookup", step_lookup, TO(REPLY) | AWAY},
    [STEP_PICK] = {"pick", step_pick, TO(REPLY) | AWAY},
    [STEP_LEASE] = {"lease", step_lease, TO(PICK) | TO(REPLY) | AWAY},
    [STEP_SEND] = {"send", step_send, TO(PICK) | TO(REPLY) | AWAY},
    [STEP_AWAIT] = {"await", step_await, TO(PICK) | TO(REPLY) | AWAY},
    [STEP_REPLY] = {"reply", step_reply, TO(FINISH) | AWAY},
    [STEP_STREAM] = {"stream", step_stream, TO(FINISH)},
    [STEP_FINISH] = {"finish", step_finish, 0},
    [STEP_LOG] = {"log", step_log, 0},
};

const char *step_name(enum req_step s)
{
    return s < STEP_COUNT ? rows[s].name : "none";
}

/* The one place where errors of steps become a response or an end. */
static void fail(req *r, int err)
{
    r->err = err;
    stats_error(err);
    if (r->step >= STEP_FINISH) {
        r->close = true;
        r->step++;
        return;
    }
    bool no_answer = r->head_sent || r->client_gone || err == ERR_CLIENT_GONE;
    if (r->step == STEP_REPLY && !no_answer) {
        no_answer = r->reply_failed; /* not even the error page could be sent */
        r->reply_failed = true;
    }
    int silent = no_answer ? 0 : error_silence(r, err);
    if (no_answer || silent) {
        r->res.status = silent ? (uint16_t)silent : r->res.status;
        r->close = true;
        r->step = STEP_FINISH;
        return;
    }
    r->timed_out = r->total_expired = false; /* the answer has its own deadline */
    r->step = (uint8_t)(error_reply(r, err) & ~STEP_JUMP);
}

static void leave(req *r)
{
    if (flow_hooks && r->script) {
        flow_hooks->release(r);
    }
    r->err = r->abort_err ? r->abort_err : ERR_CLIENT_GONE;
    stats_add(STAT_REQUESTS_ABORTED, 1);
    r->proto = NULL;
    r->step = STEP_FINISH;
}

/* What was queued goes out when the request is about to wait: one send for head and body. False: the client is gone, and the request goes on at its end. */
static bool flush_before_wait(req *r)
{
    if (!r->proto || !r->head_sent) {
        return true;
    }
    int rc = r->proto->flush(r);
    if (rc < 0 && rc != ERR_AGAIN) {
        fail(r, ERR_CLIENT_GONE);
        return false;
    }
    return true;
}

/* Returns false when the loop must stop. */
static bool advance(req *r, int rc)
{
    if (rc & STEP_JUMP) {
        int to = rc & ~STEP_JUMP;
        REQUIRE(rows[r->step].jumps & (1u << to));
        r->step = (uint8_t)to;
        return true;
    }
    if (rc == STEP_WAIT_NEXT) {
        r->step++;
    }
    r->wait_since_ms = clock_ms();
    return false;
}

void steps_run(req *r)
{
    if (r->in_run) {
        return;
    }
    r->in_run = true;
    check_set_request(r->id);
    for (;;) {
        if (UNLIKELY(r->client_gone && r->proto && r->step < STEP_LOG)) {
            leave(r);
        }
        r->wait = REQ_WAIT_NONE;
        int rc = rows[r->step].run(r);
        if (LIKELY(rc == STEP_NEXT)) {
            r->step++;
            continue;
        }
        if (UNLIKELY(rc < 0)) {
            fail(r, rc);
            continue;
        }
        if (rc == STEP_DETACHED) {
            check_set_request(0);
            stats_sub(STAT_REQUESTS_ACTIVE, 1);
            req_free(r);
            return;
        }
        if (!advance(r, rc) && flush_before_wait(r)) {
            break;
        }
    }
    r->in_run = false;
    check_set_request(0);
}
