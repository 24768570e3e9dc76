/* varmap.c — maps: from a text to a value by literal keys (without regard to case), host names with wildcards, then regexes in the order of the file, whose groups the value may use. */
#include "flow/uservar_impl.h"

#include "base/err.h"
#include "base/log.h"
#include "base/regex.h"
#include "flow/error.h"
#include "flow/req.h"
#include "http/hostmap.h"

enum { KEY_STACK = 256 };

struct varmap {
    struct varvalue source, otherwise;
    bool hostnames;
    hostmap keys;
    int nregexes;
    struct by_regex {
        capture *c;
        const struct varvalue *value;
    } *regexes;
};

static int add_regex(struct uservar_making *m, struct varmap *v, const struct conf_varentry *e, const struct varvalue *value)
{
    bool caseless = e->key.n > 1 && e->key.p[1] == '*';
    char why[256];
    capture *c = capture_new(str_from(e->key, caseless ? 2 : 1), caseless ? REGEX_CASELESS : 0, m->pool, why, sizeof why);
    if (!c) {
        varmaking_fail(m, e->label, "%s", why);
        return ERR_CONF;
    }
    v->regexes[v->nregexes++] = (struct by_regex){c, value};
    return 0;
}

static int add_key(struct uservar_making *m, struct varmap *v, const struct conf_varentry *e, struct varvalue *value)
{
    str key = e->key.p ? e->key : STR_EMPTY;
    if (key.n && key.p[0] == '~') {
        return add_regex(m, v, e, value);
    }
    if (key.n && key.p[0] == '\\') {
        key = str_from(key, 1);
    }
    int rc = hostmap_put(&v->keys, key, v->hostnames, value);
    if (rc < 0) {
        varmaking_fail(m, e->label, rc == ERR_EXISTS ? "conflicting parameter \"%.*s\"" : "invalid hostname or wildcard \"%.*s\"", STR_ARG(key));
    }
    return rc;
}

void *varmap_new(struct uservar_making *m)
{
    const struct conf_varentrys *e = &m->c->entries;
    size_t n = (size_t)(e->n ? e->n : 1);
    struct varmap *v = pool_zalloc(m->pool, sizeof *v);
    struct varvalue *values = pool_zalloc(m->pool, sizeof *values * n);
    v->regexes = pool_alloc(m->pool, sizeof *v->regexes * n);
    v->hostnames = m->c->hostnames;
    hostmap_init(&v->keys, m->pool);
    if (varvalue_compile(m, m->c->source, &v->source) < 0 || varvalue_compile(m, m->c->otherwise, &v->otherwise) < 0) {
        return NULL;
    }
    for (int i = 0; i < e->n; i++) {
        if (varvalue_compile(m, e->v[i].value, &values[i]) < 0 || add_key(m, v, &e->v[i], &values[i]) < 0) {
            return NULL;
        }
    }
    return v;
}

static const struct varvalue *by_key(const struct varmap *v, req *r, str text)
{
    char stack[KEY_STACK];
    char *low = text.n <= sizeof stack ? stack : pool_alloc(&r->pool, text.n);
    for (size_t i = 0; i < text.n; i++) {
        low[i] = (char)str_lower_char((unsigned char)text.p[i]);
    }
    return hostmap_get(&v->keys, str_of(low, text.n));
}

static const struct varvalue *by_regex(const struct varmap *v, req *r, str text)
{
    for (int i = 0; i < v->nregexes; i++) {
        int rc = capture_exec(v->regexes[i].c, r, text);
        if (rc < 0) {
            req_log(r, LOG_ERROR_, "regex of a map failed: %s", err_text(rc));
            return NULL;
        }
        if (rc == 1) {
            return v->regexes[i].value;
        }
    }
    return NULL;
}

str varmap_get(const void *impl, req *r)
{
    const struct varmap *v = impl;
    str text = varvalue_get(&v->source, r);
    if (v->hostnames && text.n && text.p[text.n - 1] == '.') {
        text.n--;
    }
    const struct varvalue *found = by_key(v, r, text);
    if (!found && v->nregexes) {
        found = by_regex(v, r, text);
    }
    return varvalue_get(found ? found : &v->otherwise, r);
}
