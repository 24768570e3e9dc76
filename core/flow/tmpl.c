/* tmpl.c — see tmpl.h. A template is a list of parts; names are resolved to getters when it is
 * compiled. */
#include "flow/tmpl.h"

#include "base/regex.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "flow/uservar.h"
#include "flow/var.h"

#include <stdio.h>

enum { PARTS_MAX = 512 };

enum part_kind { PART_TEXT, PART_VAR, PART_CAPTURE, PART_PARAM, PART_HOST, PART_CUSTOM };

struct part {
    uint8_t kind;
    int number; /* CAPTURE, PARAM, CUSTOM */
    str text;   /* TEXT; VAR: the argument of a family */
    const var *var;
};

struct tmpl {
    uint32_t n;
    struct part v[];
};

/* What compiling carries along. */
struct compiling {
    str text;
    const route *rt; /* NULL: none */
    pool *pool;
    struct part v[PARTS_MAX];
    uint32_t n;
    char *err;
    size_t cap;
};

static int complain(struct compiling *c, size_t at, const char *what)
{
    snprintf(c->err, c->cap, "%s at position %zu of \"%.*s\"", what, at + 1, STR_ARG(c->text));
    return -1;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static int add_part(struct compiling *c, size_t at, struct part p)
{
    if (c->n == PARTS_MAX) {
        return complain(c, at, "too many parts");
    }
    c->v[c->n++] = p;
    return 0;
}

static int add_text(struct compiling *c, size_t at, str text)
{
    return text.n
               ? add_part(c, at, (struct part){.kind = PART_TEXT, .text = pool_dup(c->pool, text)})
               : 0;
}

static int unknown(struct compiling *c, size_t at, str name)
{
    char what[160];
    snprintf(what, sizeof what, "unknown variable $%.*s", STR_ARG(name));
    return complain(c, at, what);
}

static int add_variable(struct compiling *c, size_t at, str name)
{
    struct part p = {.kind = PART_VAR};
    p.number = uservar_index_now(name); /* before the gateway's own: "set" may cover $http_x */
    if (p.number >= 0) {
        p.kind = PART_CUSTOM;
        return add_part(c, at, p);
    }
    if (name.n == 1 && name.p[0] >= '1' && name.p[0] <= '9') {
        p.kind = PART_CAPTURE;
        p.number = name.p[0] - '0';
        return add_part(c, at, p);
    }
    p.var = var_find(name, &p.text);
    if (p.var) {
        p.text = pool_dup(c->pool, p.text);
        return add_part(c, at, p);
    }
    p.number = c->rt ? var_param_number(c->rt, name) : -1;
    if (p.number >= 0) {
        p.kind = PART_PARAM;
        return add_part(c, at, p);
    }
    p.number = c->rt && c->rt->re ? regex_name(c->rt->re, name) : -1;
    if (p.number > 0) {
        p.kind = PART_CAPTURE;
        return add_part(c, at, p);
    }
    if (c->rt && c->rt->site && var_is_host_capture(c->rt->site->c, name)) {
        p.kind = PART_HOST;
        p.text = pool_dup(c->pool, name);
        return add_part(c, at, p);
    }
    return unknown(c, at, name);
}

/* After a "$" at `at`; *next: where to go on. */
static int parse_dollar(struct compiling *c, size_t at, size_t *next)
{
    str s = c->text;
    size_t i = at + 1;
    if (i < s.n && s.p[i] == '$') {
        *next = i + 1;
        return add_text(c, at, STR("$"));
    }
    bool braces = i < s.n && s.p[i] == '{';
    i += braces;
    size_t from = i;
    bool digit = i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && !braces;
    while (i < s.n && is_name_char(s.p[i]) && !(digit && i > from)) {
        i++; /* "$10" is $1 and a zero */
    }
    if (i == from) {
        return complain(c, at, "a name must follow the dollar sign (write $$ for the sign itself)");
    }
    if (braces && (i == s.n || s.p[i] != '}')) {
        return complain(c, at, "the closing brace is missing");
    }
    *next = i + braces;
    return add_variable(c, at, str_of(s.p + from, i - from));
}

static int parse(struct compiling *c)
{
    size_t at = 0;
    while (at < c->text.n) {
        size_t dollar = str_find(c->text, '$', at);
        if (add_text(c, at, str_of(c->text.p + at, dollar - at)) < 0) {
            return -1;
        }
        at = dollar;
        if (at < c->text.n && parse_dollar(c, at, &at) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Neighbouring texts become one, so that "a$$b" is constant. */
static tmpl *finish(struct compiling *c)
{
    tmpl *t = pool_zalloc(c->pool, sizeof *t + sizeof t->v[0] * (c->n ? c->n : 1));
    for (uint32_t i = 0; i < c->n; i++) {
        struct part *last = t->n ? &t->v[t->n - 1] : NULL;
        if (last && last->kind == PART_TEXT && c->v[i].kind == PART_TEXT) {
            const str both[2] = {last->text, c->v[i].text};
            last->text = pool_join(c->pool, both, 2);
        } else {
            t->v[t->n++] = c->v[i];
        }
    }
    return t;
}

tmpl *tmpl_compile_for(str text, const route *rt, pool *p, char *err, size_t errcap)
{
    struct compiling c = {.text = text, .rt = rt, .pool = p, .err = err, .cap = errcap};
    return parse(&c) < 0 ? NULL : finish(&c);
}

tmpl *tmpl_compile(str text, pool *p, char *err, size_t errcap)
{
    return tmpl_compile_for(text, NULL, p, err, errcap);
}

tmpl *tmpl_plain(str text, pool *p)
{
    tmpl *t = pool_zalloc(p, sizeof *t + sizeof t->v[0]);
    t->n = text.n > 0;
    t->v[0] = (struct part){.kind = PART_TEXT, .text = text};
    return t;
}

bool tmpl_is_constant(const tmpl *t)
{
    return t->n == 0 || (t->n == 1 && t->v[0].kind == PART_TEXT);
}

str tmpl_constant(const tmpl *t)
{
    return t->n && t->v[0].kind == PART_TEXT ? t->v[0].text : STR_EMPTY;
}

bool tmpl_uses_connection(const tmpl *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        bool may = t->v[i].kind == PART_CUSTOM; /* whatever it is made of */
        if (may || (t->v[i].kind == PART_VAR && t->v[i].var->connection)) {
            return true;
        }
    }
    return false;
}

static str part_value(const struct part *p, req *r)
{
    switch ((enum part_kind)p->kind) {
    case PART_TEXT:
        return p->text;
    case PART_VAR:
        return p->var->get(r, p->text);
    case PART_CAPTURE:
        return var_capture(r, p->number);
    case PART_HOST:
        return var_host_capture(r, p->text);
    case PART_PARAM:
        return var_param(r, p->number);
    case PART_CUSTOM:
        return uservar_get(r, p->number);
    }
    return STR_EMPTY;
}

str tmpl_eval_captures(const tmpl *t, req *r, str (*escape)(str v, pool *p))
{
    str values[PARTS_MAX];
    for (uint32_t i = 0; i < t->n; i++) {
        str v = part_value(&t->v[i], r);
        values[i] = !v.p ? STR_EMPTY : t->v[i].kind == PART_CAPTURE ? escape(v, &r->pool) : v;
    }
    return pool_join(&r->pool, values, t->n);
}

str tmpl_eval(const tmpl *t, req *r)
{
    if (t->n == 0) {
        return STR_EMPTY;
    }
    if (t->n == 1) {
        str v = part_value(&t->v[0], r);
        return v.p ? v : STR_EMPTY;
    }
    str values[PARTS_MAX];
    for (uint32_t i = 0; i < t->n; i++) {
        str v = part_value(&t->v[i], r);
        values[i] = v.p ? v : STR_EMPTY;
    }
    return pool_join(&r->pool, values, t->n);
}

void tmpl_each(const tmpl *t, req *r, void (*put)(str part, bool is_value, void *arg), void *arg)
{
    for (uint32_t i = 0; i < t->n; i++) {
        put(part_value(&t->v[i], r), t->v[i].kind != PART_TEXT, arg);
    }
}
