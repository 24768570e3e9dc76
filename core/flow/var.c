/* var.c — $variables by name: found when a template is compiled or a script asks, never per
 * request. */
#include "flow/var.h"

#include "base/map.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/hosts.h"
#include "flow/plan.h"
#include "flow/uservar.h"
#include "flow/var_impl.h"

static str get_capture(req *r, str arg)
{
    return var_capture(r, arg.p[0] - '0');
}

static const var single[] = {
#define V(name, getter) {STR(#name), var_get_##getter, NULL, false, false},
#define K(name, getter) {STR(#name), var_get_##getter, NULL, false, true},
#define W(name, getter) {STR(#name), var_get_##getter, var_set_##getter, false, false},
#include "flow/var.def"
};

static const var families[] = {
#define P(prefix, getter) {STR(#prefix), var_get_##getter, NULL, true, false},
#include "flow/var.def"
};

static const var numbered = {STR("1"), get_capture, NULL, true, false};

/* Filled once per process. */
static map by_name;

static void fill_map(void)
{
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        map_put(&by_name, single[i].name, (void *)(uintptr_t)&single[i]);
    }
}

const var *var_find(str name, str *arg)
{
    *arg = STR_EMPTY;
    if (!by_name.n) {
        fill_map();
    }
    const var *v = map_get(&by_name, name);
    if (v) {
        return v;
    }
    if (name.n == 1 && name.p[0] >= '1' && name.p[0] <= '9') {
        *arg = name;
        return &numbered;
    }
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        if (name.n >= families[i].name.n && str_has_prefix(name, families[i].name)) {
            *arg = str_from(name, families[i].name.n);
            return &families[i];
        }
    }
    return NULL;
}

static str capture_part(const regex_match *m, str subject, int number)
{
    if (number < 0 || number >= m->n || m->at[2 * number] < 0) {
        return VAR_ABSENT;
    }
    return str_of(subject.p + m->at[2 * number], (size_t)(m->at[2 * number + 1] - m->at[2 * number]));
}

str var_capture(req *r, int number)
{
    const regex_match *m = r->captures;
    if (!m && r->host_match) {
        return capture_part(r->host_match->m, r->host_match->host, number);
    }
    return m ? capture_part(m, r->capture_subject, number) : VAR_ABSENT;
}

str var_host_capture(const req *r, str name)
{
    const struct host_match *h = r->host_match;
    int number = h ? regex_name(h->re, name) : -1;
    return number > 0 ? capture_part(h->m, h->host, number) : VAR_ABSENT;
}

bool var_is_host_capture(const struct conf_site *s, str name)
{
    for (int i = 0; i < s->names.n; i++) {
        str rest = s->names.v[i];
        for (size_t at; rest.n && (at = str_search(rest, name)) < rest.n;) {
            bool opens = at > 0 && rest.p[at - 1] == '<' && at + name.n < rest.n && rest.p[at + name.n] == '>';
            if (opens) {
                return true;
            }
            rest = str_from(rest, at + 1);
        }
    }
    return false;
}

str var_param(const req *r, int number)
{
    return number >= 0 && number < r->nparams ? r->params[number] : VAR_ABSENT;
}

int var_param_number(const route *rt, str name)
{
    for (int i = 0; i < rt->nparams; i++) {
        if (str_eq(rt->param_names[i], name)) {
            return i;
        }
    }
    return -1;
}

bool var_known(const req *r, str name)
{
    str arg;
    return uservars_index(r->plan->vars, name) >= 0 || var_find(name, &arg) || (r->route && var_param_number(r->route, name) >= 0) ||
           (r->route && r->route->re && regex_name(r->route->re, name) > 0);
}

str var_get(req *r, str name)
{
    int index = uservars_index(r->plan->vars, name);
    if (index >= 0) {
        return uservar_get(r, index);
    }
    str arg;
    const var *v = var_find(name, &arg);
    if (v) {
        return v->get(r, arg);
    }
    int number = r->route ? var_param_number(r->route, name) : -1;
    if (number >= 0) {
        return var_param(r, number);
    }
    number = r->route && r->route->re ? regex_name(r->route->re, name) : -1;
    return number > 0 ? var_capture(r, number) : var_host_capture(r, name);
}

str var_number(req *r, uint64_t v)
{
    char *buf = pool_alloc(&r->pool, 24);
    fmt f = fmt_of(buf, 24);
    fmt_u64(&f, v);
    return fmt_str(&f);
}

enum { FIELD_NAME_MAX = 256 };

/* Fields whose name has an underscore where the variable has one. */
static str field_loosely(const headers *h, str dashed)
{
    uint32_t at = 0;
    for (field *f; (f = headers_each(h, &at)) != NULL;) {
        bool same = f->name.n == dashed.n;
        for (size_t i = 0; same && i < dashed.n; i++) {
            unsigned char c = str_lower_char((unsigned char)f->name.p[i]);
            same = (c == '_' ? '-' : c) == str_lower_char((unsigned char)dashed.p[i]);
        }
        if (same) {
            return headers_joined(h, f->name);
        }
    }
    return VAR_ABSENT;
}

str var_field(req *r, const headers *h, str arg)
{
    (void)r;
    char buf[FIELD_NAME_MAX];
    if (arg.n > sizeof buf) {
        return VAR_ABSENT;
    }
    bool changed = false;
    for (size_t i = 0; i < arg.n; i++) {
        bool dash = arg.p[i] == '_';
        buf[i] = dash ? '-' : arg.p[i];
        changed |= dash;
    }
    str dashed = str_of(buf, arg.n);
    str v = headers_joined(h, dashed);
    return v.p || !changed ? v : field_loosely(h, dashed);
}
