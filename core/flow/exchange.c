/* exchange.c — compiles what exchange.h is about; what requests do with it is in errand.c. */
#include "flow/exchange.h"

#include "base/err.h"
#include "flow/exchange_impl.h"
#include "flow/retouch.h"
#include "flow/tmpl.h"
#include "flow/upstream_tls.h"

/* ---- compiling */

static int compile(plan *p, const route *rt, str text, tmpl **out, char *err, size_t errcap)
{
    *out = NULL;
    if (text.p) {
        *out = tmpl_compile_for(text, rt, &p->pool, err, errcap);
    }
    return text.p && !*out ? ERR_CONF : 0;
}

static int compile_hints(plan *p, const route *rt, struct exchange *x, char *err, size_t errcap)
{
    const struct conf_texts *hints = &x->c->hints;
    x->hints = pool_zalloc(&p->pool, sizeof *x->hints * (size_t)(hints->n + 1));
    int rc = 0;
    for (int i = 0; i < hints->n && rc == 0; i++) {
        rc = compile(p, rt, hints->v[i].value, &x->hints[i], err, errcap);
    }
    return rc;
}

static int compile_templates(plan *p, const route *rt, struct exchange *x, char *err, size_t errcap)
{
    const struct {
        str text;
        tmpl **to;
    } all[] = {
        {x->c->target, &x->target}, {x->c->body, &x->body}, {x->c->method, &x->method}, {x->c->bind, &x->bind},
        {x->c->store, &x->store},
    };
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(all) && rc == 0; i++) {
        rc = compile(p, rt, all[i].text, all[i].to, err, errcap);
    }
    return rc ? rc : compile_hints(p, rt, x, err, errcap);
}

struct exchange *exchange_new(plan *p, route *rt, char *err, size_t errcap)
{
    struct exchange *x = pool_zalloc(&p->pool, sizeof *x);
    x->c = &rt->c->exchange.v[0];
    for (int i = 0; i < x->c->ignore_headers.n; i++) {
        unsigned t = token_find(x->c->ignore_headers.v[i]);
        x->ignore[t >> 6] |= 1ull << (t & 63);
    }
    x->ignore[0] &= ~1ull; /* TOKEN_NONE */
    if (compile_templates(p, rt, x, err, errcap) < 0) {
        return NULL;
    }
    if (x->c->redirects.n || x->c->cookies.n) {
        x->retouch = retouch_new(p, rt, err, errcap);
        if (!x->retouch) {
            return NULL;
        }
    }
    if (x->c->tls >= 0) {
        x->tls = upstream_tls_new(p, rt, &p->conf->g.tlsclients.v[x->c->tls], err, errcap);
    }
    return x->c->tls >= 0 && !x->tls ? NULL : x;
}
