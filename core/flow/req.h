/* req.h — struct req: one exchange with a client, HTTP/1 or HTTP/2 alike, from "head complete" to "logged".
 *
 * A request is a table of steps (steps.h). It runs in its job, never inside an event. When it waits it names what for (`wait`); a wake re-enters the run loop. Data lives either in
 * r->pool or is borrowed until the step returns; the head's bytes are pinned by r->head_mem. The protocol below is behind proto_ops; requests never ask for its version. */
#ifndef FLOW_REQ_H
#define FLOW_REQ_H

#include "back/fetch.h"
#include "base/list.h"
#include "base/pool.h"
#include "http/msg.h"
#include "http/uri.h"
#include "net/addr.h"
#include "net/loop.h"
#include "net/timer.h"

typedef struct req req;
typedef struct group group;
typedef struct peer peer;
typedef struct plan plan;
typedef struct plan_listen plan_listen;
typedef struct regex_match regex_match;
typedef struct route route;
typedef struct sink sink;
typedef struct site site;

/* What flow may ask of a downstream protocol (front/h1_server.c, h2_server.c, a sub-request, a fake in specs). */
struct proto_ops {
    const char *name;
    /* Sends an interim response (1xx). 0 or < 0. */
    int (*send_info)(req *r, const msg *info);
    /* Queues the final head r->res. `last`: no body follows. The protocol adds framing and connection fields, Date and Server are in r->res already. */
    int (*send_head)(req *r, bool last);
    /* Where the response body goes; valid after send_head. Its AGAIN is followed by a wake of r->job when it drained. */
    sink *(*body_sink)(req *r);
    /* Pulls request body bytes into q (at most max): > 0, ERR_AGAIN (woken when more came), ERR_EOF (complete), < 0. */
    ssize_t (*read_body)(req *r, bufq *q, size_t max);
    /* Writes what is queued: 0 everything left, ERR_AGAIN, < 0. Called once when the request is about to wait or finish. */
    int (*flush)(req *r);
    /* The client's stream when body bytes may be written to it as they are (no chunks, no TLS), else NULL. The request is woken when it can take more
     * after it could not. NULL: never. */
    stream *(*raw)(req *r);
    /* After a 101: the client's stream, for the tunnel. */
    stream *(*hijack)(req *r);
    /* The exchange ended (complete or not: r->err); the protocol lets go of r, which lives on until it is logged. */
    void (*done)(req *r);
};

/* What may be done to a response whose representation is known to be whole (req.allows). */
enum { REQ_ALLOWS_RANGES = 1, REQ_ALLOWS_ONE_RANGE = 2 /* its body comes once, from front to back */, REQ_ALLOWS_CONDITIONS = 4 };

enum req_wait {
    REQ_WAIT_NONE, REQ_WAIT_SCRIPT, REQ_WAIT_CLIENT_BODY, REQ_WAIT_RESOLVE, REQ_WAIT_CONNECT, REQ_WAIT_SEND, REQ_WAIT_HEAD, REQ_WAIT_DATA, REQ_WAIT_CLIENT_WRITE, REQ_WAIT_TUNNEL, REQ_WAIT_FILE, REQ_WAIT_TURN, REQ_WAIT_SUBREQ
};

/* A body made here that lies in a file. */
typedef struct reply_file {
    struct fileref *file;
    int64_t size;
} reply_file;

/* One upstream attempt, kept for logs and variables. */
typedef struct attempt {
    peer *peer;          /* referenced until the request is logged; NULL: there was none, see group_name */
    str group_name;      /* without a peer */
    int status;          /* 0: none came */
    int err;
    bool reused;
    bool open;           /* counted in flight at the peer */
    uint32_t head_bytes; /* of the answer's head */
    int64_t start_us, connect_us, head_us, end_us; /* 0: not reached; monotonic */
    uint64_t bytes_in, bytes_out;
} attempt;

enum { REQ_MAX_ATTEMPTS = 16 };

typedef struct req_client {
    addr peer;           /* who connected */
    addr local;
    addr addr;           /* the client, after real IP */
    str ip;              /* its text when already made (req_client_ip) */
    char ip_text[16];    /* where an IPv4 text lies */
    bool tls, pipelined;
    str tls_protocol, tls_cipher, tls_name; /* live as long as the connection: copied to the pool at detach */
    str *facts;           /* of var_tls.c; NULL: none asked for */
    const stream *stream; /* the connection, while r->proto is set: TLS facts, local address */
    uint64_t conn_id;
    uint32_t conn_requests; /* this one included */
    int64_t opened_ms;
} req_client;

struct req {
    pool pool;
    list node;           /* in the worker's list of requests */
    loop *l;
    job job;
    timer timer;         /* the one deadline of what it waits for; r->timed_out when it fired */
    timer total;         /* whole request, when the route has one */
    fetch fetch;         /* valid while `fetching` (fetch_init) */
    req_client client;   /* written whole by the protocol */
    msg in;              /* the request, as parsed */
    uri uri;             /* its target, split by the admit step */
    str params[8];       /* values of :name segments, in order; the first nparams */
    plan *plan;          /* reference; from here on req_new clears everything */
    uint64_t id;
    const plan_listen *listen;
    const site *site;
    const route *route;
    const struct proto_ops *proto;
    void *conn;          /* the protocol's */
    bool client_known;   /* client.local and its TLS facts were taken from the connection (var_know_connection) */
    /* -- the request */
    mem *proxy;          /* what the PROXY header of the connection said (realip_proxy); NULL: it had none */
    mem *head_mem;       /* pins the bytes that `in` and `uri` point into */
    str host_field;      /* Host as it came (or the authority of an absolute target); empty: none */
    str host;            /* lower case, no port; empty when there is none */
    uint16_t port;
    str path;            /* what is routed: uri.path until a hook changes it */
    str query;           /* current query, .p NULL when none */
    bool path_changed, query_changed;
    regex_match *captures; /* of the last regex that matched, over capture_subject */
    str capture_subject;
    struct host_match *host_match; /* the site's name is a regex: what it captured */
    struct uservar_value *values; /* of custom variables, by index; NULL: none was asked for */
    int nparams;
    struct body *body;   /* request body; NULL: none */
    struct subreq *sub;  /* this is a sub-request (flow/subreq.h); NULL: a client's */
    struct guard_state *guard; /* of limits and access control; NULL: nothing to remember */
    /* -- the response */
    msg res;             /* what goes to the client */
    str reply_body;      /* a reply made here; sent instead of an upstream's body */
    mem *res_mem;        /* pins the upstream head that `res` points into */
    bool tried_below;    /* r->path is a name below the root that try_files found (files.c) */
    bool has_reply;      /* res + reply_body are the answer */
    bool head_sent, res_last;
    bool close;          /* the client connection must not be used again */
    reply_file *reply_file; /* instead of reply_body */
    struct ranges *ranges; /* of filter_range.c */
    struct chain *chain; /* the response's sinks */
    uint16_t filters;    /* masks of FILTER_*: asked for beside the route's, forbidden, taking part (filter.h) */
    uint16_t filters_off, filters_on;
    headers *trailers_out; /* of filter_trailers.c; NULL: those of the upstream */
    uint8_t allows;      /* REQ_ALLOWS_* */
    struct transcode *packs, *unpacks; /* of filter_compress.c */
    const struct recode *recode; /* of filter_charset.c */
    struct tunnel *tunnel;
    struct splice_pipe *relay; /* of flow/relay.c */
    struct errand *errand; /* of flow/exchange.h; NULL: nothing unusual yet */
    /* -- upstream */
    group *group;        /* a hook may replace the route's */
    bool fetching;
    bool fetched;        /* fetch was initialised: its trailers may be looked at */
    attempt *attempts;   /* in the pool; REQ_MAX_ATTEMPTS at most */
    int nattempts, cap_attempts, stale_retries;
    str pinned_peer;     /* chosen by a balance hook */
    str fetch_method;    /* sent upstream when the route says another than the client's */
    bool pick_fresh;     /* the next lease may not come from the pool */
    bool lease_started, upload_on_client; /* the upload waits for the client (true) or for the upstream */
    uint8_t reply_stage; /* of step_reply */
    bool fetch_tunnel;   /* the answer is a 101 */
    bool relay_waits;    /* bytes sit in the pipe and the client's patience runs */
    bool relay_tired;    /* it ran out: copy from here on */
    bool holds_slot;     /* of a limit of connections: over only when the client has all of the answer */
    bool log_hook_done, logged; /* logged: its lines are written already */
    /* -- run */
    uint8_t step;        /* enum req_step */
    uint8_t wait;        /* enum req_wait */
    uint8_t redirects;
    bool stay;           /* the site is known and its rewrites were run: the route step only looks for a route */
    bool internal;       /* the URI was changed here: routes for internal use may take it */
    bool uri_changed;    /* by a rewrite op: a route is looked for anew */
    bool path_kept;      /* rewritten and kept by "break": what the route would put in place of its prefix does not apply */
    bool content_lost;   /* an "if" left the block that would have asked an upstream for one that says nothing of it */
    bool in_error_page;  /* an error page is on its way: another error has none, unless the route says so */
    uint16_t err_status; /* of the error whose page is being made: what the client is told; 0: the page's own */
    bool timed_out, total_expired, client_gone, in_run;
    bool no_buffer;      /* the upstream asked for no buffering (X-Accel-Buffering: no) */
    bool error_page;     /* the answer is an error made here */
    bool reply_failed;   /* making a head failed: the next one passes no header hook */
    int err;             /* the error that ended it; 0: fine */
    int err_at_start;    /* the protocol found the request bad: answer this */
    int abort_err;       /* with client_gone */
    int64_t wait_since_ms;
    uint64_t armed_progress; /* see req_wait_here */
    uint8_t armed_for;
    int64_t start_us, first_byte_us, end_us; /* monotonic */
    int64_t start_wall_ms;
    uint64_t sent_head;  /* bytes of the head, framing included, given to the protocol */
    uint64_t sent_body;  /* body bytes given to the protocol */
    uint64_t received;   /* head + body bytes of the request */
    headers trailers;    /* of a chunked request body */
    headers extra;       /* response fields known before there is a response; .pool NULL: none */
    void *script;        /* script/'s state of this request; NULL: no hook ran */
};

/* Makes a request (recycled); the protocol fills in, head_mem and client, then calls req_start. */
req *req_new(loop *l, plan *p, const plan_listen *listen, const struct proto_ops *proto, void *conn);
/* Enters the step table. */
void req_start(req *r);
/* The same for a request that could not be parsed: it is answered with `err` and logged. */
void req_start_error(req *r, int err);
/* Before its connection is closed: in nginx's manners whoever saw the end of the connection finds the request in the log. */
void req_log_early(req *r);
/* After the log step only. */
void req_free(req *r);
/* Marks runnable. */
static inline void req_wake(req *r)
{
    job_wake(r->l, &r->job);
}
/* The client is gone or the protocol must stop: cancels the wait, ends the request soon; proto->done is not called any more. */
void req_abort(req *r, int err);
/* Arms the deadline of a wait; 0: none. */
void req_deadline(req *r, int64_t ms);
/* What a step returns to wait at itself: the deadline starts anew only when the kind of wait or `progress` (any counter of bytes moved)
 * differs from last time, so that a spurious wake extends nothing. Returns STEP_WAIT_HERE. */
int req_wait_here(req *r, enum req_wait kind, int64_t ms, uint64_t progress);
/* Text of r->client.addr without the port: made once per connection, or once per request after real IP. */
str req_client_ip(req *r);
const char *req_wait_name(enum req_wait w);
/* The worker's requests, for status. */
void req_each(void (*fn)(req *r, void *arg), void *arg);
uint32_t req_count(void);
/* As mem_trim and mem_has_spare, for spare requests. */
void req_trim(void);
bool req_has_spare(void);
/* Puts a request on a route, or on the one that takes its method there. */
void req_take_route(req *r, const route *rt);
/* What goes behind the body of the answer (filter_trailers.c); NULL: nothing. */
const headers *req_trailers(const req *r);
/* The bytes of the body of an answer made here. */
static inline int64_t req_reply_length(const req *r)
{
    return r->reply_file ? r->reply_file->size : (int64_t)r->reply_body.n;
}
/* An answer made here: status, text (borrowed: must live in r->pool or static), content type (empty: text/plain). Fields already in r->res.h are kept. */
void req_reply(req *r, int status, str text, str content_type);

#endif
