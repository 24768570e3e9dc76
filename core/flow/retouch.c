/* retouch.c — see retouch.h. Values are tried against the route's rules in order, the first that fits decides. Cookies are taken apart (RFC 6265 §5.2),
 * changed, and put together again only when something changed. */
#include "flow/retouch.h"

#include "base/err.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/redirect.h"
#include "flow/route_regex.h"
#include "flow/tmpl.h"

#include <stdio.h>

struct rule {
    uint8_t part;  /* enum conf_cookieop_part */
    regex *re;     /* or */
    tmpl *from;
    tmpl *to;
};

struct retouch {
    struct rule *redirects, *cookies;
    int nredirects, ncookies;
};

/* ---- compiling */

struct source {
    str from, to;
    bool regex, caseless;
};

static int compile(plan *p, const route *rt, const struct source *s, struct rule *out, char *err, size_t errcap)
{
    route scope = *rt; /* the captures that `to` may name are those of the rule's own pattern */
    if (s->regex) {
        out->re = route_regex(&p->pool, s->from, s->caseless, err, errcap);
        scope.re = out->re;
    } else {
        out->from = tmpl_compile_for(s->from.p ? s->from : STR_EMPTY, rt, &p->pool, err, errcap);
    }
    if (!out->re && !out->from) {
        return ERR_CONF;
    }
    out->to = tmpl_compile_for(s->to.p ? s->to : STR_EMPTY, s->regex ? &scope : rt, &p->pool, err, errcap);
    return out->to ? 0 : ERR_CONF;
}

struct retouch *retouch_new(plan *p, route *rt, char *err, size_t errcap)
{
    const struct conf_exchange *c = &rt->c->exchange.v[0];
    struct retouch *t = pool_zalloc(&p->pool, sizeof *t);
    t->nredirects = c->redirects.n;
    t->ncookies = c->cookies.n;
    t->redirects = pool_zalloc(&p->pool, sizeof *t->redirects * (size_t)(c->redirects.n + 1));
    t->cookies = pool_zalloc(&p->pool, sizeof *t->cookies * (size_t)(c->cookies.n + 1));
    int rc = 0;
    for (int i = 0; i < c->redirects.n && rc == 0; i++) {
        const struct conf_redirect *d = &c->redirects.v[i];
        rc = compile(p, rt, &(struct source){d->from, d->to, d->is_regex, d->caseless}, &t->redirects[i], err, errcap);
    }
    for (int i = 0; i < c->cookies.n && rc == 0; i++) {
        const struct conf_cookieop *d = &c->cookies.v[i];
        t->cookies[i].part = (uint8_t)d->part;
        rc = compile(p, rt, &(struct source){d->from, d->to, d->is_regex, d->caseless}, &t->cookies[i], err, errcap);
    }
    return rc < 0 ? NULL : t;
}

/* ---- one rule */

/* Evaluates `to` with the captures of this match; the request's own come back afterwards. */
static str with_captures(req *r, const struct rule *rule, regex_match *m, str subject)
{
    regex_match *before = r->captures;
    str before_subject = r->capture_subject;
    r->captures = m;
    r->capture_subject = subject;
    str out = tmpl_eval(rule->to, r);
    if (out.p >= subject.p && out.p < subject.p + subject.n) {
        out = pool_dup(&r->pool, out);
    }
    r->captures = before;
    r->capture_subject = before_subject;
    return out;
}

static bool apply_regex(req *r, const struct rule *rule, str *value)
{
    regex_match m;
    if (regex_exec(rule->re, *value, 0, &m) != 1) {
        return false;
    }
    *value = with_captures(r, rule, &m, *value);
    return true;
}

static bool apply_prefix(req *r, const struct rule *rule, str *value)
{
    str from = tmpl_eval(rule->from, r);
    if (!str_has_prefix(*value, from)) {
        return false;
    }
    str parts[2] = {tmpl_eval(rule->to, r), str_from(*value, from.n)};
    *value = pool_join(&r->pool, parts, 2);
    return true;
}

/* A domain is the same with a dot in front, which stays (RFC 6265 §5.2.3). */
static bool apply_domain(req *r, const struct rule *rule, str *value)
{
    str from = tmpl_eval(rule->from, r);
    size_t dot = value->n && value->p[0] == '.' ? 1 : 0;
    str bare = str_from(*value, dot);
    if (!str_ieq(bare, from)) {
        return false;
    }
    str parts[2] = {dot ? STR(".") : STR_EMPTY, tmpl_eval(rule->to, r)};
    *value = pool_join(&r->pool, parts, 2);
    return true;
}

/* ---- redirects */

static bool redirect(const struct retouch *t, req *r, str *value)
{
    for (int i = 0; i < t->nredirects; i++) {
        const struct rule *rule = &t->redirects[i];
        str v = *value;
        if (rule->re ? apply_regex(r, rule, &v) : apply_prefix(r, rule, &v)) {
            *value = headers_value_is_ok(v) ? v : *value;
            return true;
        }
    }
    return false;
}

/* "7; url=http://…": what stands behind "url=". */
static void refresh(const struct retouch *t, req *r, field *f)
{
    for (size_t i = 0; i + 4 <= f->value.n; i++) {
        if (str_has_iprefix(str_from(f->value, i), STR("url="))) {
            str url = str_from(f->value, i + 4);
            if (redirect(t, r, &url)) {
                str parts[2] = {str_of(f->value.p, i + 4), url};
                f->value = pool_join(&r->pool, parts, 2);
            }
            return;
        }
    }
}

/* ---- cookies */

enum { ATTRS_MAX = 32 };
enum { FLAG_SECURE, FLAG_HTTPONLY, FLAG_SAMESITE, FLAG_COUNT };

struct attr {
    str name, value; /* value.p NULL: none; name.p NULL: dropped */
};

struct cookie {
    struct attr v[ATTRS_MAX];
    int n;
    bool changed;
};

/* False: more attributes than anybody writes; the cookie stays as it is. */
static bool take_apart(str text, struct cookie *c)
{
    str part;
    c->n = 0;
    c->changed = false;
    while (str_split(&text, ';', &part)) {
        if (c->n == ATTRS_MAX - FLAG_COUNT) { /* room for flags that are added */
            return false;
        }
        size_t eq = str_find(part, '=', 0);
        struct attr *a = &c->v[c->n++];
        a->name = str_trim(str_of(part.p, eq));
        a->value = eq < part.n ? str_trim(str_from(part, eq + 1)) : (str){NULL, 0};
    }
    return c->n > 0 && c->v[0].value.p;
}

static str put_together(req *r, const struct cookie *c)
{
    str parts[ATTRS_MAX * 4];
    size_t n = 0;
    for (int i = 0; i < c->n; i++) {
        const struct attr *a = &c->v[i];
        if (!a->name.p) {
            continue;
        }
        if (i > 0) {
            parts[n++] = STR("; ");
        }
        parts[n++] = a->name;
        if (a->value.p) {
            parts[n++] = STR("=");
            parts[n++] = a->value;
        }
    }
    return pool_join(&r->pool, parts, n);
}

static void change_value(const struct retouch *t, req *r, int part, struct cookie *c, struct attr *a)
{
    for (int i = 0; i < t->ncookies; i++) {
        const struct rule *rule = &t->cookies[i];
        if (rule->part != part) {
            continue;
        }
        bool hit = rule->re ? apply_regex(r, rule, &a->value)
                   : part == CONF_COOKIE_DOMAIN ? apply_domain(r, rule, &a->value)
                                                : apply_prefix(r, rule, &a->value);
        if (hit) {
            c->changed = true;
            return;
        }
    }
}

static const struct rule *flags_rule(const struct retouch *t, req *r, str name)
{
    for (int i = 0; i < t->ncookies; i++) {
        const struct rule *rule = &t->cookies[i];
        if (rule->part == CONF_COOKIE_FLAGS &&
            (rule->re ? regex_exec(rule->re, name, 0, NULL) == 1 : str_ieq(name, tmpl_eval(rule->from, r)))) {
            return rule;
        }
    }
    return NULL;
}

/* The first attribute of this name behind the `i`th, which may be the cookie itself. */
static struct attr *next_attr(struct cookie *c, int i, str name)
{
    while (++i < c->n) {
        if (c->v[i].name.p && str_ieq(c->v[i].name, name)) {
            return &c->v[i];
        }
    }
    return NULL;
}

static void drop_attrs(struct cookie *c, int behind, str name)
{
    for (struct attr *a; (a = next_attr(c, behind, name)) != NULL;) {
        a->name.p = NULL;
    }
}

/* An attribute that flags are about, and what a word makes of it: there once with this value (NULL: any), or not at all. */

static const char *const flag_names[FLAG_COUNT] = {"Secure", "HttpOnly", "SameSite"};

static const struct flag {
    const char *word, *value;
    uint8_t name;
    bool on;
} flags[] = {
    {"secure", NULL, FLAG_SECURE, true},
    {"nosecure", NULL, FLAG_SECURE, false},
    {"httponly", NULL, FLAG_HTTPONLY, true},
    {"nohttponly", NULL, FLAG_HTTPONLY, false},
    {"samesite=strict", "Strict", FLAG_SAMESITE, true},
    {"samesite=lax", "Lax", FLAG_SAMESITE, true},
    {"samesite=none", "None", FLAG_SAMESITE, true},
    {"nosamesite", NULL, FLAG_SAMESITE, false},
};

static void set_flag(struct cookie *c, const struct flag *to)
{
    str name = str_c(flag_names[to->name]), value = to->value ? str_c(to->value) : (str){NULL, 0};
    struct attr *a = to->on ? next_attr(c, 0, name) : NULL;
    if (to->on && !a) {
        a = &c->v[c->n++]; /* take_apart left room for each of them once */
        *a = (struct attr){name, value};
    } else if (a && value.p && !(a->value.p && str_ieq(a->value, value))) {
        *a = (struct attr){name, value};
    }
    drop_attrs(c, a ? (int)(a - c->v) : 0, name); /* browsers take the last one that they find */
}

/* Words can come from variables: any number of them in any order. The last one about an attribute holds. */
static void apply_flags(const struct rule *rule, req *r, struct cookie *c)
{
    const struct flag *wish[FLAG_COUNT] = {NULL};
    str rest = tmpl_eval(rule->to, r), word;
    while (str_split(&rest, ' ', &word)) {
        for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
            if (str_ieq(word, str_c(flags[i].word))) {
                wish[flags[i].name] = &flags[i];
            }
        }
    }
    for (int i = 0; i < FLAG_COUNT; i++) {
        if (wish[i]) {
            set_flag(c, wish[i]);
            c->changed = true;
        }
    }
}

static void set_cookie(const struct retouch *t, req *r, field *f)
{
    struct cookie c;
    if (!take_apart(f->value, &c)) {
        return;
    }
    for (int i = 1; i < c.n; i++) {
        struct attr *a = &c.v[i];
        int part = str_ieq(a->name, STR("domain")) ? CONF_COOKIE_DOMAIN : str_ieq(a->name, STR("path")) ? CONF_COOKIE_PATH : -1;
        if (part >= 0 && a->value.p) {
            change_value(t, r, part, &c, a);
        }
    }
    const struct rule *rule = flags_rule(t, r, c.v[0].name);
    if (rule) {
        apply_flags(rule, r, &c);
    }
    str v = c.changed ? put_together(r, &c) : f->value;
    if (headers_value_is_ok(v)) {
        f->value = v;
    }
}

void retouch_apply(const struct retouch *t, req *r)
{
    headers *h = &r->res.h;
    if (t->nredirects) {
        field *f = headers_find(h, TOKEN_LOCATION);
        if (f && redirect(t, r, &f->value)) {
            f->value = redirect_target(r, f->value); /* a path becomes a URL, as in our own answers */
        }
        f = headers_find(h, TOKEN_REFRESH);
        if (f) {
            refresh(t, r, f);
        }
    }
    if (t->ncookies) {
        for (field *f = headers_find(h, TOKEN_SET_COOKIE); f; f = headers_next(h, f)) {
            set_cookie(t, r, f);
        }
    }
}
