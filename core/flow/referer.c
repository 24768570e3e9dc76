/* referer.c — see referer.h. A Referer is compared without its scheme and, for hosts, without its port. */
#include "flow/referer.h"

#include "base/err.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/uservar.h"
#include "flow/var_impl.h"
#include "http/hostmap.h"

#include <stdio.h>

enum { HOST_MAX = 256, SHORTEST = 11 /* "http://i.ru": nothing shorter names a host */ };

struct referers {
    const struct conf_route *c;
    hostmap hosts; /* → its path prefix, a str */
    int nwhole, nhost;
    capture **whole, **host; /* regexes on all of it, on the host */
};

static capture **regexes(const struct conf_strs *from, pool *p, int *n, char *err, size_t cap)
{
    capture **v = pool_alloc(p, sizeof *v * (size_t)(from->n ? from->n : 1));
    for (int i = 0; i < from->n; i++) {
        if (from->v[i].p[0] != '~') {
            continue;
        }
        v[*n] = capture_new(str_from(from->v[i], 1), REGEX_CASELESS, p, err, cap);
        if (!v[(*n)++]) {
            return NULL;
        }
    }
    return v;
}

static int add_host(referers *f, str text, pool *p, char *err, size_t cap)
{
    str *wanted = pool_alloc(p, sizeof *wanted);
    size_t slash = str_find(text, '/', 0);
    *wanted = str_from(text, slash);
    str host = str_of(text.p, slash);
    int rc = hostmap_put(&f->hosts, host, true, wanted);
    if (rc < 0) {
        snprintf(err, cap, rc == ERR_EXISTS ? "%.*s: conflicting parameter \"%.*s\"" : "%.*s: invalid hostname or wildcard \"%.*s\"", STR_ARG(f->c->label), STR_ARG(host));
    }
    return rc;
}

referers *referers_new(const struct conf_route *c, pool *p, char *err, size_t errcap)
{
    referers *f = pool_zalloc(p, sizeof *f);
    f->c = c;
    hostmap_init(&f->hosts, p);
    f->whole = regexes(&c->referers, p, &f->nwhole, err, errcap);
    f->host = regexes(&c->referer_hosts, p, &f->nhost, err, errcap);
    if (!f->whole || !f->host) {
        return NULL;
    }
    for (int i = 0; i < c->referers.n; i++) {
        if (c->referers.v[i].p[0] != '~' && add_host(f, c->referers.v[i], p, err, errcap) < 0) {
            return NULL;
        }
    }
    return f;
}

static bool any(capture *const *v, int n, str subject)
{
    for (int i = 0; i < n; i++) {
        if (regex_exec(v[i]->re, subject, 0, NULL) == 1) {
            return true;
        }
    }
    return false;
}

/* "example.org:80/uri?x", the scheme is off. */
static bool accepts(const referers *f, str s)
{
    char low[HOST_MAX];
    size_t n = 0;
    for (; n < s.n && s.p[n] != '/' && s.p[n] != ':'; n++) {
        if (n == sizeof low) {
            return false;
        }
        low[n] = (char)str_lower_char((unsigned char)s.p[n]);
    }
    str host = str_of(low, n);
    const str *wanted = hostmap_get(&f->hosts, host);
    if (wanted) {
        return !wanted->n || str_has_prefix(str_from(s, str_find(s, '/', n)), *wanted);
    }
    return any(f->host, f->nhost, host) || any(f->whole, f->nwhole, s);
}

bool referers_accept(const referers *f, const req *r)
{
    const field *v = headers_find(&r->in.h, TOKEN_REFERER);
    if (!v) {
        return f->c->referer_none;
    }
    size_t skip = str_has_iprefix(v->value, STR("http://")) ? 7 : str_has_iprefix(v->value, STR("https://")) ? 8 : 0;
    if (v->value.n < SHORTEST || !skip) {
        return f->c->referer_blocked;
    }
    return accepts(f, str_from(v->value, skip));
}

str var_get_invalid_referer(req *r, str arg)
{
    (void)arg;
    const referers *f = r->route ? r->route->referers : NULL;
    return !f || referers_accept(f, r) ? STR_EMPTY : STR("1");
}
