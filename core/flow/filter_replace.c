/* filter_replace.c — see filter_replace.h. Texts are looked for in any case of ASCII letters; where several begin at one place the first that the configuration names
 * counts. What might be the beginning of one is held back until more is here. */
#include "flow/filter_replace.h"

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "flow/tmpl.h"
#include "http/sink.h"

#include <stdio.h>
#include <unistd.h>

enum { PIECE = 16 * 1024, TEXT_MAX = 16 * 1024, ENOUGH = 64 * 1024 };

struct rule {
    tmpl *from, *to;
};

struct replace_rules {
    const struct conf_replace *c;
    struct rule *v;
    int n;
};

/* A rule as this answer has it. */
struct wanted {
    char *text; /* lower case */
    size_t n;   /* 0: done, or nothing is looked for */
    str to;     /* .p NULL: not asked for yet */
    const tmpl *made_of;
};

typedef struct replace_sink {
    sink sink;
    sink *next;
    req *r;
    bool once, ended;
    int n, left; /* rules; those that still look for something */
    struct wanted *v;
    bool first[256]; /* bytes that something begins with, in both cases */
    bufq out;
    char *buf; /* what is held back, and room for a piece behind it */
    size_t held;
} replace_sink;

/* -- compiling */

int filter_replace_compile(plan *p, const route *rt, struct replace_rules **out, char *err, size_t errcap)
{
    *out = NULL;
    if (!rt->c->replace.n) {
        return 0;
    }
    const struct conf_replace *c = &rt->c->replace.v[0];
    struct replace_rules *rules = pool_zalloc(&p->pool, sizeof *rules);
    *rules = (struct replace_rules){.c = c, .n = c->pairs.n, .v = pool_zalloc(&p->pool, sizeof *rules->v * (size_t)(c->pairs.n + 1))};
    for (int i = 0; i < rules->n; i++) {
        char why[200];
        struct rule *one = &rules->v[i];
        one->from = tmpl_compile_for(c->pairs.v[i].from, rt, &p->pool, why, sizeof why);
        one->to = one->from ? tmpl_compile_for(c->pairs.v[i].to.p ? c->pairs.v[i].to : STR_EMPTY, rt, &p->pool, why, sizeof why) : NULL;
        if (!one->to) {
            snprintf(err, errcap, "%s: replaced text: %s", rt->c->label.n ? rt->c->label.p : "route", why);
            return ERR_CONF;
        }
    }
    *out = rules;
    return 0;
}

static bool wants(const route *rt)
{
    return rt->replace != NULL;
}

/* -- the head */

static int head(req *r)
{
    const struct conf_replace *c = r->route->replace->c;
    headers *h = &r->res.h;
    const field *type = headers_find(h, TOKEN_CONTENT_TYPE);
    if (!filter_is_type(&c->types, type ? type->value : STR_EMPTY, STR("text/html")) || headers_find(h, TOKEN_CONTENT_ENCODING)) {
        return 0;
    }
    bool is_head = r->in.method == METHOD_HEAD;
    if (!is_head && !filter_has_body(r)) {
        return 0;
    }
    filter_new_body(r);
    if (!c->last_modified) {
        headers_remove_token(h, TOKEN_LAST_MODIFIED);
        headers_remove_token(h, TOKEN_ETAG);
    }
    return !is_head;
}

/* -- the body */

static void mark_firsts(replace_sink *f)
{
    memset(f->first, 0, sizeof f->first);
    for (int i = 0; i < f->n; i++) {
        if (f->v[i].n) {
            unsigned char c = (unsigned char)f->v[i].text[0];
            f->first[c] = true;
            f->first[c >= 'a' && c <= 'z' ? c - 32 : c] = true;
        }
    }
}

static void replace_one(replace_sink *f, struct wanted *w)
{
    if (!w->to.p) {
        w->to = pool_dup(&f->r->pool, tmpl_eval(w->made_of, f->r));
    }
    bufq_push_copy(&f->out, w->to);
    if (f->once) {
        w->n = 0;
        f->left--;
        mark_firsts(f);
    }
}

static bool begins(const char *p, const struct wanted *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_lower_char((unsigned char)p[i]) != (unsigned char)w->text[i]) {
            return false;
        }
    }
    return true;
}

/* What is at p? The length of a text that was found, 0: nothing; -1: the beginning of one, perhaps. */
static long look(replace_sink *f, const char *p, size_t n, bool last, struct wanted **found)
{
    for (int i = 0; i < f->n; i++) {
        struct wanted *w = &f->v[i];
        if (w->n == 0 || (w->n > n && last) || !begins(p, w, w->n < n ? w->n : n)) {
            continue;
        }
        *found = w;
        return w->n <= n ? (long)w->n : -1;
    }
    return 0;
}

/* Reads f->buf up to n; the rest that may be the beginning of something stays there. */
static void scan(replace_sink *f, size_t n, bool last)
{
    size_t done = 0, at = 0;
    while (at < n && f->left) {
        struct wanted *w;
        long len = f->first[(unsigned char)f->buf[at]] ? look(f, f->buf + at, n - at, last, &w) : 0;
        if (len < 0) {
            break;
        }
        if (len == 0) {
            at++;
            continue;
        }
        bufq_push_copy(&f->out, str_of(f->buf + done, at - done));
        replace_one(f, w);
        at += (size_t)len;
        done = at;
    }
    at = f->left ? at : n;
    bufq_push_copy(&f->out, str_of(f->buf + done, at - done));
    f->held = n - at;
    memmove(f->buf, f->buf + at, f->held);
}

static int feed(replace_sink *f, bufq *q)
{
    const slice *s = bufq_at(q, 0);
    size_t n = s->n < PIECE ? s->n : PIECE;
    if (s->p) {
        memcpy(f->buf + f->held, s->p, n);
    } else {
        ssize_t got = pread(s->file->fd, f->buf + f->held, n, s->off);
        if (got <= 0) {
            return ERR_IO;
        }
        n = (size_t)got;
    }
    bufq_drop(q, n);
    scan(f, f->held + n, false);
    return 0;
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    replace_sink *f = container_of(sk, replace_sink, sink);
    for (;;) {
        while (!bufq_is_empty(q) && f->left && f->out.bytes < ENOUGH) {
            int rc = feed(f, q);
            if (rc < 0) {
                return rc;
            }
        }
        if (!f->left) {
            bufq_move(&f->out, q); /* nothing is looked for any more */
        }
        bool last = (flags & SINK_LAST) && bufq_is_empty(q);
        if (last && !f->ended) {
            scan(f, f->held, true);
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
    replace_sink *f = container_of(sk, replace_sink, sink);
    sink_abort(f->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

static void on_fini(void *arg)
{
    bufq_fini(arg);
}

/* Texts too long to be held back are not looked for. */
static size_t take_texts(replace_sink *f, const struct replace_rules *rules)
{
    size_t longest = 0;
    for (int i = 0; i < rules->n; i++) {
        struct wanted *w = &f->v[i];
        str text = tmpl_eval(rules->v[i].from, f->r);
        if (text.n == 0 || text.n > TEXT_MAX) {
            continue;
        }
        w->text = pool_alloc(&f->r->pool, text.n);
        w->n = text.n;
        w->made_of = rules->v[i].to;
        for (size_t k = 0; k < text.n; k++) {
            w->text[k] = (char)str_lower_char((unsigned char)text.p[k]);
        }
        longest = text.n > longest ? text.n : longest;
        f->left++;
    }
    return longest;
}

static sink *body(req *r, sink *next)
{
    const struct replace_rules *rules = r->route->replace;
    replace_sink *f = pool_zalloc(&r->pool, sizeof *f);
    f->sink.ops = &ops;
    f->next = next;
    f->r = r;
    f->once = rules->c->once;
    f->n = rules->n;
    f->v = pool_zalloc(&r->pool, sizeof *f->v * (size_t)(rules->n + 1));
    bufq_init(&f->out);
    pool_on_fini(&r->pool, on_fini, &f->out);
    size_t longest = take_texts(f, rules);
    f->buf = pool_alloc(&r->pool, PIECE + longest);
    mark_firsts(f);
    return &f->sink;
}

const struct filter filter_replace = {.name = "replace", .wants = wants, .head = head, .body = body};
