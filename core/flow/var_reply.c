/* var_reply.c — variables of the response, of the upstream attempts, of time and process. Those of
 * the upstream list every attempt, in order, with ", " between: "10.0.0.1:80, 10.0.0.2:80"; a
 * figure that an attempt did not reach is "-". */
#include "back/group.h"
#include "flow/body.h"
#include "flow/exchange_impl.h"
#include "flow/plan.h"
#include "flow/target.h"
#include "flow/var_impl.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/version.h"

#include <time.h>
#include <unistd.h>

/* ---- the response */

/* Variables of what this build has not: they are there, without a value. */
str var_get_nothing(req *r, str arg)
{
    (void)r;
    (void)arg;
    return VAR_ABSENT;
}

str var_get_status(req *r, str arg)
{
    (void)arg;
    int status = r->err_status && !r->head_sent ? r->err_status : r->res.status; /* a page that is being made tells its error */
    if (!r->head_sent && r->client_gone) {
        status = 499; /* nobody was there to be answered */
    }
    char *out = pool_alloc(&r->pool, 8);
    for (int i = 2; i >= 0; i--) {
        out[i] = (char)('0' + status % 10);
        status /= 10;
    }
    return str_of(out, 3);
}

str var_get_body_bytes_sent(req *r, str arg)
{
    (void)arg;
    return var_number(r, r->sent_body);
}

str var_get_bytes_sent(req *r, str arg)
{
    (void)arg;
    return var_number(r, r->sent_head + r->sent_body);
}

/* Framing and connection fields are the protocol's: they are told from what they follow from. */
str var_get_sent_http(req *r, str arg)
{
    str v = r->res.h.v ? var_field(r, &r->res.h, arg) : VAR_ABSENT;
    if (v.p || !r->head_sent) {
        return v;
    }
    if (str_eq(arg, STR("content_length")) && r->res.body == MSG_BODY_LENGTH &&
        r->res.length >= 0) {
        return var_number(r, (uint64_t)r->res.length);
    }
    if (str_eq(arg, STR("transfer_encoding")) && r->res.body == MSG_BODY_CHUNKED) {
        return STR("chunked");
    }
    if (str_eq(arg, STR("connection"))) {
        return r->res.status == 101 ? STR("upgrade") : r->close ? STR("close") : STR("keep-alive");
    }
    return VAR_ABSENT;
}

str var_get_error(req *r, str arg)
{
    (void)arg;
    return r->err < 0 ? str_c(err_name(r->err)) : VAR_ABSENT;
}

str var_get_route(req *r, str arg)
{
    (void)arg;
    return r->route && r->route->c->label.n ? r->route->c->label : VAR_ABSENT;
}

str var_get_request_completion(req *r, str arg)
{
    (void)arg;
    return r->head_sent && !r->err && !r->client_gone ? STR("OK") : STR_EMPTY;
}

str var_get_pipe(req *r, str arg)
{
    (void)arg;
    return r->client.pipelined ? STR("p") : STR(".");
}

/* ---- time */

static str milli_text(req *r, int64_t ms)
{
    char *buf = pool_alloc(&r->pool, 24);
    fmt f = fmt_of(buf, 24);
    fmt_milli(&f, ms);
    return fmt_str(&f);
}

str var_get_request_time(req *r, str arg)
{
    (void)arg;
    int64_t us = (r->end_us ? r->end_us : clock_us()) - r->start_us;
    return milli_text(r, us > 0 ? us / 1000 : 0);
}

str var_get_msec(req *r, str arg)
{
    (void)arg;
    return milli_text(r, clock_wall_ms());
}

/* Formatted once per second. */
static struct {
    int64_t at;
    char iso[32], local[32];
    size_t iso_n, local_n;
} second;

static void second_update(void)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    if (second.iso_n && second.at == (int64_t)now) {
        return;
    }
    struct tm tm;
    localtime_r(&now, &tm);
    second.at = now;
    second.iso_n = strftime(second.iso, sizeof second.iso, "%Y-%m-%dT%H:%M:%S%z", &tm);
    if (second.iso_n > 2) { /* +0100 → +01:00 */
        memmove(second.iso + second.iso_n - 1, second.iso + second.iso_n - 2, 3);
        second.iso[second.iso_n - 2] = ':';
        second.iso_n++;
    }
    char zone[8];
    strftime(zone, sizeof zone, "%z", &tm);
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    fmt f = fmt_of(second.local, sizeof second.local);
    fmt_printf(&f, "%02d/%s/%04d:%02d:%02d:%02d %s", tm.tm_mday, months[tm.tm_mon % 12],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, zone);
    second.local_n = fmt_str(&f).n;
}

str var_get_time_iso8601(req *r, str arg)
{
    (void)arg;
    second_update();
    return pool_dup(&r->pool, str_of(second.iso, second.iso_n));
}

str var_get_time_local(req *r, str arg)
{
    (void)arg;
    second_update();
    return pool_dup(&r->pool, str_of(second.local, second.local_n));
}

/* ---- the process */

str var_get_pid(req *r, str arg)
{
    (void)arg;
    return var_number(r, (uint64_t)getpid());
}

/* Of the nginx whose behaviour we have in its dialect. */
str var_get_nginx_version(req *r, str arg)
{
    (void)arg;
    (void)r;
    return STR(MG_NGINX_VERSION);
}

str var_get_hostname(req *r, str arg)
{
    (void)arg;
    (void)r;
    static char name[256];
    if (!name[0] && gethostname(name, sizeof name - 1) < 0) {
        name[0] = '-';
    }
    return str_c(name);
}

/* ---- the upstream */

str var_get_proxy_host(req *r, str arg)
{
    (void)arg;
    str host = target_host(r);
    return host.n ? host : VAR_ABSENT;
}

str var_get_proxy_port(req *r, str arg)
{
    (void)arg;
    if (r->errand && r->errand->port.n) {
        return r->errand->port;
    }
    const struct exchange *x = r->route ? r->route->exchange : NULL;
    return x && x->c->url_port.p ? x->c->url_port : VAR_ABSENT;
}

enum { BODY_TEXT_MAX = 1 << 20 };

/* Only what was taken in, and into memory. */
/* What is in a file is there for $request_body_file. */
static bool keeps_to_nginx(const req *r)
{
    return r->plan->conf->g.manners == CONF_MANNERS_NGINX || r->route->c->body_in_file;
}

str var_get_request_body(req *r, str arg)
{
    (void)arg;
    str text;
    if (!r->body || (body_is_in_file(r->body) && keeps_to_nginx(r)) || body_text(r, BODY_TEXT_MAX, &text) < 0 || !text.n) {
        return VAR_ABSENT;
    }
    return text;
}

str var_get_request_body_file(req *r, str arg)
{
    (void)arg;
    str name = r->body ? body_file(r) : VAR_ABSENT;
    return name.n ? name : VAR_ABSENT;
}

str var_get_upstream_name(req *r, str arg)
{
    (void)arg;
    return r->group ? r->group->name : VAR_ABSENT;
}

str var_get_upstream_http(req *r, str arg)
{
    return r->fetched && r->fetch.res.h.v ? var_field(r, &r->fetch.res.h, arg) : VAR_ABSENT;
}

/* Writes one attempt's figure; false: it has none. */
typedef bool write_figure(const req *r, const attempt *a, fmt *f);

enum { FIGURE_MAX = ADDR_TEXT_MAX + 2 };

static str each_attempt(req *r, write_figure *write)
{
    if (!r->nattempts) {
        return VAR_ABSENT;
    }
    size_t cap = (size_t)r->nattempts * FIGURE_MAX;
    char *buf = pool_alloc(&r->pool, cap);
    fmt f = fmt_of(buf, cap);
    for (int i = 0; i < r->nattempts; i++) {
        fmt_put(&f, i ? STR(", ") : STR_EMPTY);
        if (!write(r, &r->attempts[i], &f)) {
            fmt_char(&f, '-');
        }
    }
    return fmt_str(&f);
}

static bool write_addr(const req *r, const attempt *a, fmt *f)
{
    (void)r;
    if (!a->peer) {
        fmt_put(f, a->group_name);
        return true;
    }
    fmt_bytes(f, a->peer->text, a->peer->text_n);
    return true;
}

static bool write_status(const req *r, const attempt *a, fmt *f)
{
    (void)r;
    int status = a->status                                 ? a->status
                 : a->err < 0 && a->err != ERR_CLIENT_GONE ? err_status(a->err)
                                                           : 0;
    if (status) {
        fmt_u64(f, (uint64_t)status);
    }
    return status != 0;
}

static bool write_span(const attempt *a, int64_t to_us, fmt *f)
{
    if (to_us) {
        fmt_milli(f, to_us > a->start_us ? (to_us - a->start_us) / 1000 : 0);
    }
    return to_us != 0;
}

static bool write_connect(const req *r, const attempt *a, fmt *f)
{
    (void)r;
    return write_span(a, a->connect_us, f);
}

static bool write_head(const req *r, const attempt *a, fmt *f)
{
    (void)r;
    return write_span(a, a->head_us, f);
}

static bool write_whole(const req *r, const attempt *a, fmt *f)
{
    (void)r;
    return write_span(a, a->end_us, f);
}

static bool write_received(const req *r, const attempt *a, fmt *f)
{
    fmt_u64(f, a->open && r->fetching ? r->fetch.bytes_in : a->bytes_in);
    return true;
}

static bool write_sent(const req *r, const attempt *a, fmt *f)
{
    fmt_u64(f, a->open && r->fetching ? r->fetch.bytes_out : a->bytes_out);
    return true;
}

static bool write_length(const req *r, const attempt *a, fmt *f)
{
    uint64_t all = a->open && r->fetching ? r->fetch.bytes_in : a->bytes_in;
    fmt_u64(f, a->head_us && all > a->head_bytes ? all - a->head_bytes : 0);
    return true;
}

str var_get_upstream_response_length(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_length);
}

str var_get_upstream_addr(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_addr);
}

str var_get_upstream_status(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_status);
}

str var_get_upstream_connect_time(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_connect);
}

str var_get_upstream_header_time(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_head);
}

str var_get_upstream_response_time(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_whole);
}

str var_get_upstream_bytes_received(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_received);
}

str var_get_upstream_bytes_sent(req *r, str arg)
{
    (void)arg;
    return each_attempt(r, write_sent);
}
