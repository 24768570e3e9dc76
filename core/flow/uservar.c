/* uservar.c — see uservar.h. */
#include "flow/uservar.h"

#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/regex.h"
#include "flow/error.h"
#include "flow/req_log.h"
#include "flow/plan.h"
#include "flow/uservar_impl.h"
#include "flow/var.h"
#include "flow/var_impl.h"

#include <stdarg.h>
#include <stdio.h>

struct uservar {
    str name;
    uint8_t kind;        /* enum conf_var_kind */
    bool uncached;
    const var *builtin;  /* of the same name: the value while nothing was set */
    str builtin_arg;
    const void *impl;
};

struct uservars {
    map by_name; /* → index + 1 */
    int n;
    struct uservar v[];
};

enum value_state { VALUE_UNKNOWN, VALUE_KNOWN, VALUE_ASKED };

/* In a request's pool. */
struct uservar_value {
    str v;
    uint8_t state; /* enum value_state */
};

/* The names known to templates while a plan is compiled: nothing is looked up by name later (docs/decisions/0024). */
static const uservars *naming;

const uservars *uservars_name(const uservars *u)
{
    const uservars *before = naming;
    naming = u;
    return before;
}

int uservars_index(const uservars *u, str name)
{
    return u ? (int)(uintptr_t)map_get(&u->by_name, name) - 1 : -1;
}

int uservar_index_now(str name)
{
    return uservars_index(naming, name);
}

/* ---- compiling */

void *varmaking_fail(struct uservar_making *m, str label, const char *format, ...)
{
    str at = label.n ? label : m->c->label;
    int n = at.n ? snprintf(m->err, m->cap, "%.*s: ", STR_ARG(at)) : 0;
    va_list args;
    va_start(args, format);
    vsnprintf(m->err + n, (size_t)n < m->cap ? m->cap - (size_t)n : 0, format, args);
    va_end(args);
    return NULL;
}

int varvalue_compile(struct uservar_making *m, str text, struct varvalue *out)
{
    *out = (struct varvalue){.text = text.p ? text : STR_EMPTY};
    if (memchr(out->text.p, '$', out->text.n)) {
        char why[200];
        out->t = tmpl_compile(out->text, m->pool, why, sizeof why);
        if (!out->t) {
            varmaking_fail(m, STR_EMPTY, "%s", why);
            return ERR_CONF;
        }
    }
    return 0;
}

str varvalue_get(const struct varvalue *v, req *r)
{
    return v->t ? pool_dup(&r->pool, tmpl_eval(v->t, r)) : v->text; /* a view of an answer may not outlive it */
}

static void names_cleanup(void *arg)
{
    map_fini(arg);
}

uservars *uservars_declare(const str *names, int n, pool *p)
{
    uservars *u = pool_zalloc(p, sizeof *u + sizeof u->v[0] * (size_t)n);
    map_init(&u->by_name);
    pool_on_fini(p, names_cleanup, &u->by_name);
    u->n = n;
    for (int i = 0; i < n; i++) {
        u->v[i].name = names[i];
        map_put(&u->by_name, names[i], (void *)(uintptr_t)(i + 1));
    }
    return u;
}

static const void *compile_kind(struct uservar_making *m)
{
    switch ((enum conf_var_kind)m->c->kind) {
    case CONF_VAR_MAP:
        return varmap_new(m);
    case CONF_VAR_GEO:
        return geo_new(m);
    case CONF_VAR_SPLIT:
        return split_new(m);
    case CONF_VAR_SET:
    case CONF_VAR_CAPTURE:
        break;
    }
    return m; /* nothing to compile */
}

uservars *uservars_new(const struct conf_uservars *c, pool *p, char *err, size_t errcap)
{
    str *names = pool_alloc(p, sizeof *names * (size_t)(c->n ? c->n : 1));
    for (int i = 0; i < c->n; i++) {
        names[i] = c->v[i].name;
    }
    uservars *u = uservars_declare(names, c->n, p);
    for (int i = 0; i < c->n; i++) {
        struct uservar *v = &u->v[i];
        v->kind = (uint8_t)c->v[i].kind;
        v->uncached = c->v[i].uncached;
        v->builtin = var_find(v->name, &v->builtin_arg);
    }
    const uservars *before = uservars_name(u);
    for (int i = 0; i < c->n; i++) {
        struct uservar_making m = {&c->v[i], p, err, errcap};
        const void *impl = compile_kind(&m);
        if (!impl) {
            uservars_name(before);
            return NULL;
        }
        u->v[i].impl = impl == &m ? NULL : impl;
    }
    uservars_name(before);
    return u;
}

/* ---- asking and setting */

static struct uservar_value *value_of(req *r, int index)
{
    if (!r->values) {
        r->values = pool_zalloc(&r->pool, sizeof *r->values * (size_t)r->plan->vars->n);
    }
    return &r->values[index];
}

/* Nobody set it. */
static str unset(req *r, const struct uservar *v)
{
    if (v->builtin) {
        return v->builtin->get(r, v->builtin_arg);
    }
    if (v->kind == CONF_VAR_CAPTURE) {
        return VAR_ABSENT;
    }
    if (!r->route || r->route->c->warn_unset) {
        req_log(r, LOG_WARN_, "using uninitialized \"%.*s\" variable", STR_ARG(v->name));
    }
    return STR_EMPTY;
}

static str compute(req *r, const struct uservar *v)
{
    switch ((enum conf_var_kind)v->kind) {
    case CONF_VAR_MAP:
        return varmap_get(v->impl, r);
    case CONF_VAR_GEO:
        return geo_get(v->impl, r);
    case CONF_VAR_SPLIT:
        return split_get(v->impl, r);
    case CONF_VAR_SET:
    case CONF_VAR_CAPTURE:
        break;
    }
    return unset(r, v);
}

str uservar_get(req *r, int index)
{
    const struct uservar *v = &r->plan->vars->v[index];
    struct uservar_value *held = value_of(r, index);
    if (held->state == VALUE_KNOWN) {
        return held->v;
    }
    if (held->state == VALUE_ASKED) {
        req_log(r, LOG_ERROR_, "cycle while evaluating variable \"%.*s\"", STR_ARG(v->name));
        return VAR_ABSENT;
    }
    held->state = VALUE_ASKED;
    str value = compute(r, v);
    bool keep = !v->uncached && v->kind != CONF_VAR_SET && v->kind != CONF_VAR_CAPTURE;
    held->v = value;
    held->state = keep ? VALUE_KNOWN : VALUE_UNKNOWN;
    return value;
}

void uservar_set(req *r, int index, str value)
{
    const struct uservar *v = &r->plan->vars->v[index];
    if (v->builtin && v->builtin->set) {
        v->builtin->set(r, value);
        return;
    }
    *value_of(r, index) = (struct uservar_value){value, VALUE_KNOWN};
}

void uservars_copy(const req *from, req *to)
{
    int n = from->values ? from->plan->vars->n : 0;
    for (int i = 0; i < n; i++) {
        uint8_t kind = from->plan->vars->v[i].kind;
        if (from->values[i].state == VALUE_KNOWN && (kind == CONF_VAR_SET || kind == CONF_VAR_CAPTURE)) {
            str v = from->values[i].v;
            *value_of(to, i) = (struct uservar_value){v.p ? pool_dup(&to->pool, v) : v, VALUE_KNOWN};
        }
    }
}

/* ---- regexes */

static void regex_cleanup(void *arg)
{
    regex_free(arg);
}

struct naming_groups {
    capture *c;
    pool *pool;
};

static void add_group(str name, int number, void *arg)
{
    struct naming_groups *g = arg;
    int index = uservar_index_now(name);
    if (index >= 0) {
        struct capture_name *v = pool_alloc(g->pool, sizeof *v * (size_t)(g->c->n + 1));
        if (g->c->n) {
            memcpy(v, g->c->v, sizeof *v * (size_t)g->c->n);
        }
        v[g->c->n++] = (struct capture_name){number, index};
        g->c->v = v;
    }
}

capture *capture_of(regex *re, pool *p)
{
    capture *c = pool_zalloc(p, sizeof *c);
    c->re = re;
    struct naming_groups g = {c, p};
    regex_each_name(re, add_group, &g);
    return c;
}

capture *capture_new(str pattern, unsigned flags, pool *p, char *err, size_t errcap)
{
    char why[160] = "";
    size_t at = 0;
    regex *re = regex_new(pattern, flags, why, sizeof why, &at);
    if (!re) {
        snprintf(err, errcap, "bad regex \"%.*s\": %s at offset %zu", STR_ARG(pattern), why, at);
        return NULL;
    }
    pool_on_fini(p, regex_cleanup, re);
    return capture_of(re, p);
}

void capture_take(const capture *c, req *r, str subject, const regex_match *m)
{
    r->captures = NULL;
    if (m->n > 1) {
        size_t size = offsetof(regex_match, at) + sizeof m->at[0] * 2 * (size_t)m->n;
        regex_match *kept = pool_alloc(&r->pool, size);
        memcpy(kept, m, size);
        r->captures = kept;
        r->capture_subject = subject;
    }
    for (int i = 0; i < c->n; i++) {
        str v = var_capture(r, c->v[i].group);
        uservar_set(r, c->v[i].index, v.p ? v : STR_EMPTY);
    }
}

int capture_exec(const capture *c, req *r, str subject)
{
    regex_match m;
    int rc = regex_exec(c->re, subject, 0, &m);
    if (rc == 1) {
        capture_take(c, r, subject, &m);
    }
    return rc;
}
