/* req_log.c — see req_log.h. With nginx manners the words are those that people and scripts search nginx's logs for. */
#include "flow/req_log.h"

#include "back/group.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/steps.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 1024, TAIL_MAX = 2048, TARGET_SHOWN = 1024 };

static const log_set *set_of(const req *r)
{
    const route *rt = r->route ? r->route : r->site ? r->site->fallback : NULL;
    return rt ? rt->errors : NULL;
}

bool req_log_wants(const req *r, enum log_level level)
{
    return log_wants(set_of(r), level);
}

const log_set *req_log_set(const struct conf_gateway *g, const struct conf_route *c, pool *p)
{
    if (c->error_logs.n == 0) {
        return NULL;
    }
    log_set *set = pool_zalloc(p, sizeof *set);
    set->v = pool_zalloc(p, sizeof *set->v * (size_t)c->error_logs.n);
    set->n = c->error_logs.n;
    set->lowest = LOG_EMERG_;
    for (int i = 0; i < set->n; i++) {
        const struct conf_errlog *e = &g->error_logs.v[c->error_logs.v[i]];
        set->v[i] = (struct log_sink){log_destination_of(e->path), (enum log_level)e->level};
        set->lowest = set->v[i].level < set->lowest ? set->v[i].level : set->lowest;
    }
    return set;
}

static const peer *peer_of(const req *r)
{
    return r->nattempts ? r->attempts[r->nattempts - 1].peer : NULL;
}

static str shown(str s)
{
    return s.n == 0 ? STR_EMPTY : str_of(s.p, s.n < TARGET_SHOWN ? s.n : TARGET_SHOWN);
}

/* Appends; what does not fit is left out. */
static size_t put(char *buf, size_t n, const char *format, ...) PRINTF(3, 4);
static size_t put(char *buf, size_t n, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int more = vsnprintf(buf + n, TAIL_MAX - n, format, ap);
    va_end(ap);
    n += more > 0 ? (size_t)more : 0;
    return n < TAIL_MAX ? n : TAIL_MAX - 1;
}

/* ", client: …, server: …, request: "…", upstream: "…", host: "…"" */
static str tail_of(const req *r, char *buf)
{
    char ip[ADDR_TEXT_MAX];
    ip[addr_print_ip(&r->client.addr, ip, sizeof ip - 1)] = '\0';
    str server = r->site && r->site->c->names.n ? r->site->c->names.v[0] : STR_EMPTY;
    size_t n = put(buf, 0, ", client: %s, server: %.*s", ip, STR_ARG(server));
    str target = shown(r->in.target);
    if (r->in.method_name.n) {
        const char *version = r->in.version >= HTTP_2 ? "HTTP/2.0" : r->in.version == HTTP_1_1 ? "HTTP/1.1" : "HTTP/1.0";
        n = put(buf, n, ", request: \"%.*s %.*s %s\"", STR_ARG(r->in.method_name), STR_ARG(target), version);
    }
    const peer *p = peer_of(r);
    if (p) {
        n = put(buf, n, ", upstream: \"%s://%s%.*s\"", r->group && r->group->tls ? "https" : "http", p->text, STR_ARG(target));
    }
    if (r->host_field.n) {
        str host = shown(r->host_field);
        n = put(buf, n, ", host: \"%.*s\"", STR_ARG(host));
    }
    const field *referer = headers_find(&r->in.h, TOKEN_REFERER);
    if (referer) {
        str from = shown(referer->value);
        n = put(buf, n, ", referrer: \"%.*s\"", STR_ARG(from));
    }
    return str_of(buf, n);
}

void req_log(const req *r, enum log_level level, const char *format, ...)
{
    const log_set *set = set_of(r);
    if (!log_wants(set, level)) {
        return;
    }
    char head[40], text[TEXT_MAX], tail[TAIL_MAX];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    bool nginx = log_style_now() == LOG_STYLE_NGINX;
    int h = snprintf(head, sizeof head, nginx ? "*%llu " : "req=%llx ",
                     (unsigned long long)(nginx ? r->client.conn_id : r->id));
    str said = str_of(text, n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1);
    log_line(set, level, str_of(head, (size_t)h), said, tail_of(r, tail));
}

/* ---- errors in nginx's words */

static const char *doing(const req *r)
{
    const attempt *a = &r->attempts[r->nattempts - 1];
    if (!a->connect_us) {
        return "connecting to upstream";
    }
    if (a->head_us) {
        return "reading upstream";
    }
    return r->fetching && !r->fetch.upload_done ? "sending request to upstream" : "reading response header from upstream";
}

static void log_errno(const req *r, const char *call, int errnum)
{
    req_log(r, LOG_ERROR_, "%s failed (%d: %s) while %s", call, errnum, strerror(errnum), doing(r));
}

static void attempt_in_words(const req *r, int err)
{
    bool connecting = !r->attempts[r->nattempts - 1].connect_us;
    switch (err) {
    case ERR_REFUSED:
        log_errno(r, "connect()", ECONNREFUSED);
        break;
    case ERR_UNREACHABLE:
        log_errno(r, "connect()", EHOSTUNREACH);
        break;
    case ERR_RESET:
        log_errno(r, connecting ? "connect()" : "recv()", ECONNRESET);
        break;
    case ERR_TIMEOUT:
        req_log(r, LOG_ERROR_, "upstream timed out (%d: %s) while %s", ETIMEDOUT, strerror(ETIMEDOUT), doing(r));
        break;
    case ERR_EOF:
    case ERR_UPSTREAM_CLOSED:
    case ERR_UPSTREAM_CUT:
        req_log(r, LOG_ERROR_, "upstream prematurely closed connection while %s", doing(r));
        break;
    case ERR_HEAD_TOO_LARGE:
        req_log(r, LOG_ERROR_, "upstream sent too big header while %s", doing(r));
        break;
    case ERR_BAD_STATUS:
    case ERR_UPSTREAM_HEAD:
        req_log(r, LOG_ERROR_, "upstream sent invalid header while %s", doing(r));
        break;
    case ERR_BAD_CHUNK:
        req_log(r, LOG_ERROR_, "upstream sent invalid chunked response while %s", doing(r));
        break;
    case ERR_TLS:
        req_log(r, LOG_ERROR_, "SSL_do_handshake() failed while SSL handshaking to upstream");
        break;
    case ERR_TLS_VERIFY:
        req_log(r, LOG_ERROR_, "upstream SSL certificate verify error while SSL handshaking to upstream");
        break;
    default:
        req_log(r, LOG_ERROR_, "upstream failed (%s) while %s", err_text(err), doing(r));
    }
}

void req_log_attempt(const req *r, int err)
{
    if (log_style_now() == LOG_STYLE_NGINX && r->nattempts && err != ERR_CLIENT_GONE && err != ERR_CLIENT_TIMEOUT) {
        attempt_in_words(r, err);
    }
}

static const char *reading(const req *r)
{
    return r->in.target.n ? "reading client request headers" : "reading client request line";
}

static void error_in_words(const req *r, int err, int status)
{
    switch (err) {
    case ERR_NO_PEER:
        req_log(r, LOG_ERROR_, "no live upstreams while connecting to upstream");
        break;
    case ERR_RESOLVE:
        req_log(r, LOG_ERROR_, "%.*s could not be resolved", STR_ARG(r->host));
        break;
    case ERR_BODY_TOO_LARGE:
        if (r->in.length >= 0) {
            req_log(r, LOG_ERROR_, "client intended to send too large body: %lld bytes", (long long)r->in.length);
        } else {
            req_log(r, LOG_ERROR_, "client intended to send too large chunked body: %llu bytes", (unsigned long long)r->received);
        }
        break;
    case ERR_CLIENT_TIMEOUT:
        req_log(r, LOG_INFO_, "client timed out (%d: %s) while %s", ETIMEDOUT, strerror(ETIMEDOUT),
                r->step < STEP_ROUTE ? reading(r) : "reading client request body");
        break;
    case ERR_PLAIN_ON_TLS:
        req_log(r, LOG_INFO_, "client sent plain HTTP request to HTTPS port while %s", reading(r));
        break;
    case ERR_HEAD_TOO_LARGE:
        req_log(r, LOG_INFO_, "client sent too long header line while reading client request headers");
        break;
    case ERR_URI_TOO_LONG:
        req_log(r, LOG_INFO_, "client sent too long URI while reading client request line");
        break;
    default:
        if (status == 400 || status == 505 || status == 501) {
            req_log(r, LOG_INFO_, "client sent invalid request (%s) while %s", err_text(err), reading(r));
        } else {
            req_log(r, status >= 500 ? LOG_ERROR_ : LOG_INFO_, "%s", err_text(err));
        }
    }
}

/* Ours: where it happened and what it became. */
static void error_native(const req *r, int err, int status)
{
    char ip[ADDR_TEXT_MAX];
    ip[addr_print_ip(&r->client.addr, ip, sizeof ip - 1)] = '\0';
    const char *tried = peer_of(r) ? peer_of(r)->text : "-";
    str target = str_of(r->in.target.n ? r->in.target.p : "", r->in.target.n < 200 ? r->in.target.n : 200);
    if (status >= 500) {
        log_error("req=%llx step=%s err=%s status=%d client=%s upstream=%s method=%.*s target=\"%.*s\": %s", (unsigned long long)r->id,
                  step_name((enum req_step)r->step), err_name(err), status, ip, tried, STR_ARG(r->in.method_name), STR_ARG(target), err_text(err));
    } else {
        log_info("req=%llx step=%s err=%s status=%d client=%s: %s", (unsigned long long)r->id, step_name((enum req_step)r->step), err_name(err), status, ip, err_text(err));
    }
}

void req_log_error(const req *r, int err, int status)
{
    if (log_style_now() != LOG_STYLE_NGINX) {
        error_native(r, err, status);
    } else if (!r->nattempts || r->attempts[r->nattempts - 1].err != err) { /* else the attempt said it */
        error_in_words(r, err, status);
    }
}
