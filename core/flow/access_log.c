/* access_log.c — see access_log.h. A line is formatted straight into the file's buffer. */
#include "flow/access_log.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/syslog.h"
#include "conf/conf.h"
#include "flow/log_cache.h"
#include "flow/log_file.h"
#include "flow/plan.h"
#include "flow/req_log.h"
#include "flow/tmpl.h"
#include "flow/var_impl.h"
#include "shm/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FIELD_MAX = 2048 /* bytes of a client's text in a JSON line; six times that when escaped */ };

struct access_log {
    const struct conf_log *c;
    log_file *file; /* NULL: the name has variables, or it could not be opened and need not be */
    tmpl *line;     /* NULL: JSON */
    tmpl *name, *when;
    log_cache *open; /* files of `name`; NULL: none is kept open */
};

/* ---- lines */

/* As nginx writes them: quotes, backslashes and what is not printable ASCII as \xHH. */
static void put_escaped(fmt *f, str s)
{
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            continue;
        }
        const char hex[4] = {'\\', 'x', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
        fmt_bytes(f, s.p + plain, i - plain);
        fmt_bytes(f, hex, sizeof hex);
        plain = i + 1;
    }
    fmt_bytes(f, s.p + plain, s.n - plain);
}

/* Only what JSON forbids in a string: bytes that are no UTF-8 go through. */
static void put_json(fmt *f, str s)
{
    static const char shorts[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        size_t k = 0;
        while (shorts[k] && (unsigned char)shorts[k] != c) {
            k += 2;
        }
        if (shorts[k]) {
            fmt_char(f, '\\');
            fmt_char(f, shorts[k + 1]);
        } else if (c < 0x20) {
            fmt_printf(f, "\\u%04X", c);
        } else {
            fmt_char(f, (char)c);
        }
    }
}

struct writing {
    fmt f;
    int escape; /* enum conf_log_escape */
};

static void put_part(str part, bool is_value, void *arg)
{
    struct writing *w = arg;
    if (!is_value || (w->escape == CONF_LOG_ESCAPE_NONE && part.p)) {
        fmt_put(&w->f, part);
    } else if (!part.p) {
        fmt_put(&w->f, w->escape == CONF_LOG_ESCAPE_DEFAULT ? STR("-") : STR_EMPTY);
    } else if (w->escape == CONF_LOG_ESCAPE_JSON) {
        put_json(&w->f, part);
    } else {
        put_escaped(&w->f, part);
    }
}

static void json_text(fmt *f, str name, str value)
{
    if (!value.n) {
        return;
    }
    fmt_put(f, STR(",\""));
    fmt_put(f, name);
    fmt_put(f, STR("\":\""));
    fmt_json(f, value.n > FIELD_MAX ? str_of(value.p, FIELD_MAX) : value);
    fmt_char(f, '"');
}

static void json_number(fmt *f, str name, uint64_t v)
{
    fmt_put(f, STR(",\""));
    fmt_put(f, name);
    fmt_put(f, STR("\":"));
    fmt_u64(f, v);
}

static void json_time(fmt *f)
{
    static int64_t second;
    static char text[32]; /* up to the seconds */
    int64_t ms = clock_wall_ms();
    if (ms / 1000 != second || !text[0]) {
        second = ms / 1000;
        time_t t = (time_t)second;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    }
    fmt_put(f, STR("{\"time\":\""));
    fmt_put(f, str_c(text));
    char tail[6] = {
        '.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z',
        '"'};
    fmt_bytes(f, tail, sizeof tail);
}

static void json_address(fmt *f, const req *r)
{
    char text[ADDR_TEXT_MAX];
    json_text(f, STR("client"), str_of(text, addr_print_ip(&r->client.addr, text, sizeof text)));
    if (!addr_eq(&r->client.addr, &r->client.peer)) {
        json_text(f, STR("peer"), str_of(text, addr_print_ip(&r->client.peer, text, sizeof text)));
    }
}

static void json_upstream(fmt *f, req *r)
{
    if (!r->nattempts) {
        return;
    }
    json_text(f, STR("upstream"), var_get_upstream_addr(r, STR_EMPTY));
    json_text(f, STR("upstream_status"), var_get_upstream_status(r, STR_EMPTY));
    json_text(f, STR("upstream_time"), var_get_upstream_response_time(r, STR_EMPTY));
}

static str field_of(const req *r, enum token t)
{
    const field *f = headers_find(&r->in.h, t);
    return f ? f->value : STR_EMPTY;
}

static void write_json(fmt *f, req *r)
{
    json_time(f);
    fmt_put(f, STR(",\"id\":\""));
    fmt_hex(f, r->id);
    fmt_char(f, '"');
    json_address(f, r);
    json_text(f, STR("method"), r->in.method_name);
    json_text(f, STR("scheme"), r->client.tls ? STR("https") : STR("http"));
    json_text(f, STR("host"), r->host);
    json_text(f, STR("uri"), var_get_request_uri(r, STR_EMPTY));
    json_text(f, STR("protocol"), var_get_server_protocol(r, STR_EMPTY));
    json_number(f, STR("status"), r->client_gone && !r->head_sent ? 499 : r->res.status);
    json_number(f, STR("bytes"), r->sent_head + r->sent_body);
    fmt_put(f, STR(",\"request_time\":"));
    fmt_milli(f, r->end_us > r->start_us ? (r->end_us - r->start_us) / 1000 : 0);
    json_upstream(f, r);
    json_text(f, STR("route"), r->route ? r->route->c->label : STR_EMPTY);
    json_text(f, STR("user_agent"), field_of(r, TOKEN_USER_AGENT));
    json_text(f, STR("referer"), field_of(r, TOKEN_REFERER));
    json_text(f, STR("error"), var_get_error(r, STR_EMPTY));
    fmt_char(f, '}');
}

/* A line with its end, LOG_LINE_MAX at most; its length, 0: half an object, which would break every reader. */
static size_t format_line(const access_log *a, req *r, char *to)
{
    struct writing w = {fmt_of(to, LOG_LINE_MAX - 1), a->c->escape};
    if (a->line) {
        tmpl_each(a->line, r, put_part, &w);
    } else {
        write_json(&w.f, r);
    }
    if (w.f.cut && !a->line) {
        stats_add(STAT_LOG_LINES_LOST, 1);
        return 0;
    }
    *w.f.p++ = '\n'; /* the byte kept back above */
    return (size_t)(w.f.p - to);
}

/* Opened for each line: a name with variables may be any. As nginx does, only below a root that is there, so that a request for a
 * host that nobody serves makes no file. */
static void write_named(const access_log *a, req *r)
{
    char line[LOG_LINE_MAX];
    str name = tmpl_eval(a->name, r);
    if (!name.n || memchr(name.p, 0, name.n)) {
        return;
    }
    str root = a->c->root.n ? a->c->root : STR_EMPTY;
    char *path = pool_alloc(&r->pool, name.n + root.n + 2);
    sprintf(path, "%.*s%.*s", STR_ARG(root), STR_ARG(name));
    size_t n = format_line(a, r, line);
    str text = str_of(line, n);
    if (n && (a->open ? log_cache_write(a->open, path, text) : log_file_once(path, text)) < 0) {
        stats_add(STAT_LOG_LINES_LOST, 1);
        req_log(r, LOG_CRIT_, "open() \"%s\" failed (%d: %s) while logging request", path, errno, strerror(errno));
    }
}

static bool is_wanted(const access_log *a, req *r)
{
    if (!a->when) {
        return true;
    }
    str v = tmpl_eval(a->when, r);
    return v.n > 0 && !str_eq(v, STR("0"));
}

void access_log_write(access_log *a, req *r)
{
    if (!is_wanted(a, r)) {
        return;
    }
    if (a->name) {
        write_named(a, r);
        return;
    }
    char *to = a->file ? log_file_room(a->file) : NULL;
    if (to) {
        log_file_take(a->file, format_line(a, r, to));
    }
}

void access_log_settle(access_log *a)
{
    if (a->file) {
        log_file_settle(a->file);
    }
}

/* ---- life */

static int compile_one(str text, const struct conf_log *c, pool *p, tmpl **out, char *err, size_t errcap)
{
    char why[200];
    *out = tmpl_compile(text, p, why, sizeof why);
    if (!*out) {
        snprintf(err, errcap, "access log %.*s: %s", STR_ARG(c->path), why);
        return ERR_CONF;
    }
    return 0;
}

static int compile_log(const struct conf_log *c, pool *p, access_log *a, char *err, size_t errcap)
{
    *a = (access_log){.c = c};
    int rc = 0;
    if (c->format != 0) {
        rc = compile_one(c->template.p ? c->template : STR_EMPTY, c, p, &a->line, err, errcap);
    }
    if (rc == 0 && c->name.n) {
        rc = compile_one(c->name, c, p, &a->name, err, errcap);
    }
    if (rc == 0 && c->when.n) {
        rc = compile_one(c->when, c, p, &a->when, err, errcap);
    }
    return rc;
}

int access_log_check(const struct conf_log *c, char *err, size_t errcap)
{
    pool scratch;
    pool_init(&scratch, 1024);
    access_log a;
    int rc = compile_log(c, &scratch, &a, err, errcap);
    pool_fini(&scratch);
    if (rc == 0 && !c->path.n && !c->name.n) {
        snprintf(err, errcap, "access log: no path");
        rc = ERR_CONF;
    }
    if (rc == 0 && syslog_is(c->path)) {
        rc = syslog_check(c->path, err, errcap);
    }
    return rc;
}

access_log *access_log_open(loop *l, const struct conf_log *c, pool *p, char *err, size_t errcap)
{
    access_log *a = pool_zalloc(p, sizeof *a);
    if (compile_log(c, p, a, err, errcap) < 0) {
        return NULL;
    }
    if (a->name) {
        struct log_cache_args kept = {c->kept, c->kept_uses, c->kept_unused, c->kept_unseen};
        a->open = c->kept ? log_cache_new(&kept) : NULL;
        return a;
    }
    struct log_file_args args = {c->path.p, (size_t)c->buffer, c->flush, (int)c->gzip};
    a->file = log_file_open(l, &args);
    if (!a->file && !c->optional && !syslog_is(c->path)) {
        snprintf(err, errcap, "access log %.*s: %s", STR_ARG(c->path), strerror(errno));
        return NULL;
    }
    return a;
}

void access_log_close(access_log *a)
{
    if (a && a->open) {
        log_cache_free(a->open);
        a->open = NULL;
    }
    if (a && a->file) {
        log_file_close(a->file);
        a->file = NULL;
    }
}

bool access_log_uses_connection(const access_log *a)
{
    return (a->line && tmpl_uses_connection(a->line)) || (a->when && tmpl_uses_connection(a->when)) ||
           (a->name && tmpl_uses_connection(a->name));
}
