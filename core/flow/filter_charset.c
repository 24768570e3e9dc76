/* filter_charset.c — see filter_charset.h. */
#include "flow/filter_charset.h"

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "flow/exchange_impl.h"
#include "flow/recode.h"
#include "flow/req_log.h"
#include "flow/tmpl.h"
#include "http/sink.h"

#include <stdio.h>
#include <unistd.h>

enum { PIECE = 6 * 1024 /* becomes a chunk of 64 KiB at most */ };
_Static_assert(PIECE * RECODE_LONGEST <= 64 * 1024 - 64, "what a piece becomes fits in a chunk");

struct charset_rules {
    const struct conf_charset *c;
    tmpl *to, *from; /* NULL: off */
    const recodes *maps;
};

typedef struct charset_sink {
    sink sink;
    sink *next;
    const recode *map;
    bufq out;
    char tail[4]; /* the beginning of a character */
    size_t ntail;
    bool ended;
} charset_sink;

int filter_charset_compile(plan *p, const route *rt, struct charset_rules **out, char *err, size_t errcap)
{
    *out = NULL;
    if (!rt->c->charset.n) {
        return 0;
    }
    const struct conf_charset *c = &rt->c->charset.v[0];
    struct charset_rules *rules = pool_zalloc(&p->pool, sizeof *rules);
    char why[200];
    rules->c = c;
    rules->maps = p->recodes;
    rules->to = c->to.n ? tmpl_compile_for(c->to, rt, &p->pool, why, sizeof why) : NULL;
    rules->from = c->from.n ? tmpl_compile_for(c->from, rt, &p->pool, why, sizeof why) : NULL;
    if ((c->to.n && !rules->to) || (c->from.n && !rules->from)) {
        snprintf(err, errcap, "%s: charset: %s", rt->c->label.n ? rt->c->label.p : "route", why);
        return ERR_CONF;
    }
    *out = rules;
    return 0;
}

/* -- the head */

/* The parameter of a media type (RFC 9110 §8.3.1); .p NULL: none. */
static str charset_of(str type)
{
    static const char name[] = "charset=";
    for (size_t at = str_find(type, ';', 0); at < type.n; at = str_find(type, ';', at + 1)) {
        str rest = str_trim(str_from(type, at + 1));
        if (str_has_iprefix(rest, STR("charset="))) {
            rest = str_trim(str_of(rest.p + sizeof name - 1, str_find(rest, ';', 0) - (sizeof name - 1)));
            bool quoted = rest.n >= 2 && rest.p[0] == '"' && rest.p[rest.n - 1] == '"';
            return quoted ? str_of(rest.p + 1, rest.n - 2) : rest;
        }
    }
    return (str){NULL, 0};
}

/* What the upstream asks for, whatever the route says. */
static str asked(req *r)
{
    const headers *h = r->fetched && !r->has_reply ? &r->fetch.res.h : NULL;
    const field *f = h && headers_may_have(h, TOKEN_X_ACCEL_CHARSET) ? headers_find(h, TOKEN_X_ACCEL_CHARSET) : NULL;
    return f && (!r->route->exchange || exchange_heeds(r, TOKEN_X_ACCEL_CHARSET)) ? f->value : STR_EMPTY;
}

/* Empty: the answer stays as it is. */
static str target(req *r, const struct charset_rules *rules, str type, str own)
{
    str other = asked(r);
    if (other.n) {
        return other;
    }
    bool fits = own.p ? rules->c->override : filter_is_type(&rules->c->types, type, STR("text/html"));
    str to = rules->to && fits ? tmpl_eval(rules->to, r) : STR_EMPTY;
    return str_ieq(to, STR("off")) ? STR_EMPTY : to;
}

static int name_it(req *r, field *type, str own, str to)
{
    if (r->res.status == 301 || r->res.status == 302) {
        return 0; /* the page that follows has its own */
    }
    str before = own.p ? str_trim(str_of(type->value.p, str_find(type->value, ';', 0))) : type->value;
    const str parts[3] = {before, STR("; charset="), to};
    type->value = pool_join(&r->pool, parts, 3);
    return 0;
}

static int head(req *r)
{
    const struct charset_rules *rules = r->route->charset;
    field *type = headers_find(&r->res.h, TOKEN_CONTENT_TYPE);
    if (!type || !type->value.n || r->sub) {
        return 0;
    }
    str own = charset_of(type->value), to = target(r, rules, type->value, own);
    if (!to.n) {
        return 0;
    }
    str from = own.p ? own : rules->from ? tmpl_eval(rules->from, r) : STR_EMPTY;
    if (!from.n || str_ieq(from, to)) {
        return name_it(r, type, own, to);
    }
    if (headers_find(&r->res.h, TOKEN_CONTENT_ENCODING)) {
        return 0;
    }
    const recode *map = recode_find(rules->maps, from, to);
    if (!map) {
        req_log(r, LOG_ERROR_, "no \"charset_map\" between the charsets \"%.*s\" and \"%.*s\"", STR_ARG(from), STR_ARG(to));
        return 0;
    }
    r->recode = map;
    if (!recode_keeps_length(map)) {
        filter_new_body(r);
    }
    int rc = name_it(r, type, own, to);
    return rc < 0 ? rc : r->in.method != METHOD_HEAD && r->res.body != MSG_BODY_NONE;
}

/* -- the body */

static void convert(charset_sink *f, str in, bool last)
{
    while (in.n || (last && f->ntail)) {
        char piece[PIECE];
        size_t n = in.n < PIECE - f->ntail ? in.n : PIECE - f->ntail, used;
        memcpy(piece, f->tail, f->ntail);
        memcpy(piece + f->ntail, in.p, n);
        size_t all = f->ntail + n;
        in = str_from(in, n);
        mem *m = mem_new(MEM_64K);
        size_t made = recode_run(f->map, str_of(piece, all), last && !in.n, m->data, &used);
        f->ntail = all - used;
        memcpy(f->tail, piece + used, f->ntail);
        bufq_push_copy(&f->out, str_of(m->data, made));
        mem_unref(m);
    }
}

static int feed(charset_sink *f, bufq *q)
{
    const slice *s = bufq_at(q, 0);
    char buf[PIECE];
    ssize_t n = s->n < sizeof buf ? (ssize_t)s->n : (ssize_t)sizeof buf;
    const char *p = s->p;
    if (!p) {
        n = pread(s->file->fd, buf, (size_t)n, s->off);
        p = buf;
    }
    if (n <= 0) {
        return ERR_IO;
    }
    convert(f, str_of(p, (size_t)n), false);
    bufq_drop(q, (size_t)n);
    return 0;
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    enum { ENOUGH = 64 * 1024 };
    charset_sink *f = container_of(sk, charset_sink, sink);
    for (;;) {
        while (!bufq_is_empty(q) && f->out.bytes < ENOUGH) {
            int rc = feed(f, q);
            if (rc < 0) {
                return rc;
            }
        }
        bool last = (flags & SINK_LAST) && bufq_is_empty(q);
        if (last && !f->ended) {
            convert(f, STR_EMPTY, true);
            f->ended = true;
        }
        int rc = sink_push(f->next, &f->out, last ? SINK_LAST : flags & SINK_FLUSH);
        if (rc < 0 || bufq_is_empty(q)) {
            return rc;
        }
    }
}

static void on_abort(sink *sk, int err)
{
    charset_sink *f = container_of(sk, charset_sink, sink);
    sink_abort(f->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static void on_fini(void *arg)
{
    bufq_fini(arg);
}

static sink *body(req *r, sink *next)
{
    charset_sink *f = pool_zalloc(&r->pool, sizeof *f);
    f->sink.ops = &ops;
    f->next = next;
    f->map = r->recode;
    bufq_init(&f->out);
    pool_on_fini(&r->pool, on_fini, &f->out);
    return &f->sink;
}

static bool wants(const route *rt)
{
    return rt->charset != NULL;
}

const struct filter filter_charset = {.name = "charset", .wants = wants, .head = head, .body = body};
