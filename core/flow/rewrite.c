/* rewrite.c — see rewrite.h. What a rewrite does to a URI, and which captures are escaped when, is what nginx does: configurations depend on it.
 *
 * A path is kept decoded and encoded again for the upstream; arguments and redirects are text for the wire, so captures of the decoded path are escaped there, when the request's path
 * had an escape or a plus at all. */
#include "flow/rewrite.h"

#include "base/err.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/mime.h"
#include "flow/plan.h"
#include "flow/redirect.h"
#include "flow/reroute.h"
#include "flow/signature.h"
#include "flow/steps.h"
#include "flow/tmpl.h"
#include "flow/uservar.h"

#include <stdio.h>
#include <sys/stat.h>

struct op {
    const struct conf_rewriteop *c;
    tmpl *subject;      /* if: the variable */
    tmpl *value, *args; /* args: of a rewrite, what follows the question mark */
    bool has_args;      /* a redirect's target has arguments of its own */
    int var;            /* set */
    capture *re;
    const route *route; /* if: goes on when it holds; NULL: the same */
    rewrites *body;
};

struct rewrites {
    int n;
    struct op v[];
};

/* What running an op returns beside a step's value. */
enum { OP_ON = 1, OP_STOP = 2 };

/* ---- compiling */

static int fail(const struct rewrite_making *m, const struct conf_rewriteop *c, const char *what)
{
    snprintf(m->err, m->cap, "%.*s: %s", STR_ARG(c->label), what);
    return ERR_CONF;
}

static int compile_text(const struct rewrite_making *m, const struct op *op, str text, tmpl **out)
{
    char why[200];
    *out = tmpl_compile_for(text, m->rt, m->pool, why, sizeof why);
    return *out ? 0 : fail(m, op->c, why);
}

static int compile_regex(const struct rewrite_making *m, struct op *op)
{
    char why[256];
    op->re = capture_new(op->c->regex, op->c->caseless ? REGEX_CASELESS : 0, m->pool, why, sizeof why);
    return op->re ? 0 : fail(m, op->c, why);
}

static int compile_if(const struct rewrite_making *m, struct op *op)
{
    const struct conf_rewriteop *c = op->c;
    int rc = 0;
    if (c->name.n) {
        rc = compile_text(m, op, pool_printf(m->pool, "${%.*s}", STR_ARG(c->name)), &op->subject);
    }
    if (rc == 0 && c->value.p) {
        rc = compile_text(m, op, c->value, &op->value);
    }
    if (rc == 0 && c->test == CONF_TEST_MATCH) {
        rc = compile_regex(m, op);
    }
    if (rc == 0 && (c->test <= CONF_TEST_MATCH ? !op->subject : !op->value)) {
        return fail(m, c, "a condition without a subject");
    }
    if (rc == 0 && c->route >= 0) {
        if (c->route >= m->nroutes) {
            return fail(m, c, "no such route");
        }
        op->route = &m->routes[c->route];
    }
    if (rc == 0) {
        op->body = rewrites_new(m, &c->body);
    }
    return rc < 0 ? rc : op->body ? 0 : ERR_CONF;
}

static int compile_rewrite(const struct rewrite_making *m, struct op *op)
{
    const struct conf_rewriteop *c = op->c;
    size_t mark = str_find(c->value, '?', 0);
    bool away = c->flag == CONF_FLAG_REDIRECT;
    op->has_args = mark < c->value.n;
    int rc = compile_regex(m, op);
    rc = rc ? rc : compile_text(m, op, away ? c->value : str_of(c->value.p, mark), &op->value);
    if (rc == 0 && op->has_args && !away) {
        rc = compile_text(m, op, str_from(c->value, mark + 1), &op->args);
    }
    return rc;
}

static int compile_op(const struct rewrite_making *m, struct op *op)
{
    const struct conf_rewriteop *c = op->c;
    switch ((enum conf_rewrite)c->op) {
    case CONF_REWRITE_SET:
        op->var = uservar_index_now(c->name);
        return op->var < 0 ? fail(m, c, "no such variable") : compile_text(m, op, c->value.p ? c->value : STR_EMPTY, &op->value);
    case CONF_REWRITE_IF:
        return compile_if(m, op);
    case CONF_REWRITE_REWRITE:
        return compile_rewrite(m, op);
    case CONF_REWRITE_RETURN:
        return c->value.p ? compile_text(m, op, c->value, &op->value) : 0;
    case CONF_REWRITE_BREAK:
        break;
    }
    return 0;
}

rewrites *rewrites_new(const struct rewrite_making *m, const struct conf_rewriteops *c)
{
    rewrites *w = pool_zalloc(m->pool, sizeof *w + sizeof w->v[0] * (size_t)c->n);
    for (int i = 0; i < c->n; i++) {
        struct op *op = &w->v[w->n++];
        op->c = &c->v[i];
        if (compile_op(m, op) < 0) {
            return NULL;
        }
    }
    return w;
}

/* ---- text for the wire */

/* What may not stand in an argument as it is. */
static bool needs_escape(unsigned char c)
{
    return c <= ' ' || c >= 0x7f || strchr("#%&+;?", c);
}

static str escape_args(str s, pool *p)
{
    char *out = pool_alloc(p, s.n * 3);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (needs_escape(c)) {
            out[n++] = '%';
            out[n++] = "0123456789ABCDEF"[c >> 4];
            out[n++] = "0123456789ABCDEF"[c & 15];
        } else {
            out[n++] = (char)c;
        }
    }
    return str_of(out, n);
}

static str eval_escaped(const tmpl *t, req *r)
{
    str path = r->uri.raw_path;
    bool was_escaped = path.n && (memchr(path.p, '%', path.n) || memchr(path.p, '+', path.n));
    return was_escaped ? tmpl_eval_captures(t, r, escape_args) : tmpl_eval(t, r);
}

static int hex(char c)
{
    unsigned d = (unsigned char)c - (unsigned)'0';
    unsigned l = ((unsigned char)c | 0x20u) - (unsigned)'a';
    return d < 10 ? (int)d : l < 6 ? (int)l + 10 : -1;
}

/* Escapes of printable characters before the arguments are taken back: a redirect shows what can be shown. Blanks, controls and % stay escaped, so no line can be broken. */
static str unescape_location(str s, pool *p)
{
    if (!s.n || !memchr(s.p, '%', s.n)) {
        return s;
    }
    char *out = pool_alloc(p, s.n);
    size_t n = 0;
    size_t i = 0;
    for (bool args = false; i < s.n && !args;) {
        int hi = s.p[i] == '%' && i + 2 < s.n ? hex(s.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex(s.p[i + 2]) : -1;
        int c = lo < 0 ? -1 : hi << 4 | lo;
        if (lo < 0) {
            args = s.p[i] == '?';
            out[n++] = s.p[i++];
        } else if (c > '%' && c < 0x7f) {
            args = c == '?';
            out[n++] = (char)c;
            i += 3;
        } else {
            memcpy(out + n, s.p + i, 3);
            n += 3;
            i += 3;
        }
    }
    if (i < s.n) {
        memcpy(out + n, s.p + i, s.n - i);
    }
    return str_of(out, n + s.n - i);
}

/* ---- running */

static bool is_true(str v)
{
    return v.n && !(v.n == 1 && v.p[0] == '0');
}

static bool holds_for_file(req *r, const struct op *op)
{
    str path = tmpl_eval(op->value, r);
    struct stat st;
    if (memchr(path.p, 0, path.n) || stat(pool_cstr(&r->pool, path), &st) < 0) {
        return false;
    }
    switch ((enum conf_test)op->c->test) {
    case CONF_TEST_FILE:
        return S_ISREG(st.st_mode);
    case CONF_TEST_DIR:
        return S_ISDIR(st.st_mode);
    case CONF_TEST_EXEC:
        return (st.st_mode & S_IXUSR) != 0;
    case CONF_TEST_EXISTS:
        return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
    case CONF_TEST_TRUE:
    case CONF_TEST_EQUAL:
    case CONF_TEST_MATCH:
        break;
    }
    return false;
}

static void tell_match(req *r, const struct op *op, str subject, bool matches)
{
    if (r->route && r->route->c->rewrite_log) {
        req_log(r, LOG_NOTICE_, "\"%.*s\" %s \"%.*s\"", STR_ARG(op->c->regex), matches ? "matches" : "does not match", STR_ARG(subject));
    }
}

/* 1, 0, or an error. */
static int match(req *r, const struct op *op, str subject)
{
    int rc = capture_exec(op->re, r, subject);
    if (rc < 0) {
        req_log(r, LOG_ERROR_, "regex \"%.*s\" failed: %s", STR_ARG(op->c->regex), err_text(rc));
        return ERR_IO;
    }
    if (rc == 0) {
        r->captures = NULL;
    }
    tell_match(r, op, subject, rc == 1);
    return rc;
}

static int holds(req *r, const struct op *op)
{
    str subject = op->subject ? tmpl_eval(op->subject, r) : STR_EMPTY;
    int yes = 0;
    switch ((enum conf_test)op->c->test) {
    case CONF_TEST_TRUE:
        yes = is_true(subject);
        break;
    case CONF_TEST_EQUAL:
        yes = str_eq(subject, op->value ? tmpl_eval(op->value, r) : STR_EMPTY);
        break;
    case CONF_TEST_MATCH:
        yes = match(r, op, subject);
        break;
    case CONF_TEST_FILE:
    case CONF_TEST_DIR:
    case CONF_TEST_EXISTS:
    case CONF_TEST_EXEC:
        yes = holds_for_file(r, op);
        break;
    }
    return yes < 0 ? yes : yes != op->c->negate;
}

static int run(req *r, const rewrites *w);

static int run_if(req *r, const struct op *op)
{
    int yes = holds(r, op);
    if (yes <= 0) {
        return yes < 0 ? yes : OP_ON;
    }
    if (op->route) {
        bool asked = r->group != NULL;
        req_take_route(r, op->route);
        r->group = r->route->group;
        r->content_lost = (asked || r->content_lost) && !r->group; /* a mistake of the file, which nginx answers so too */
    }
    return run(r, op->body);
}

/* Location is set, and the status goes where errors go: there may be a page for it. */
static int answer_redirect(req *r, int status, str to)
{
    if (!headers_value_is_ok(to)) {
        return ERR_BAD_TARGET;
    }
    if (r->extra.pool) {
        headers_remove(&r->extra, STR("Location"));
    }
    req_reply(r, status, STR_EMPTY, STR_EMPTY);
    int rc = to.n ? headers_set(&r->res.h, STR("Location"), redirect_target(r, to)) : 0;
    if (rc < 0) {
        return rc;
    }
    rc = reroute_error(r, status);
    if (rc == 0) {
        req_reply(r, status, signature_page(r, status), STR("text/html"));
        return STEP_JUMP | STEP_REPLY;
    }
    return rc;
}

static str with_args(req *r, const struct op *op, str text, bool has_some)
{
    if (!op->c->keep_args || !r->query.n) {
        return text;
    }
    const str parts[3] = {text, has_some ? STR("&") : STR("?"), r->query};
    return pool_join(&r->pool, parts, 3);
}

static int rewrite_away(req *r, const struct op *op)
{
    str to = with_args(r, op, unescape_location(eval_escaped(op->value, r), &r->pool), op->has_args);
    if (r->route && r->route->c->rewrite_log) {
        req_log(r, LOG_NOTICE_, "rewritten redirect: \"%.*s\"", STR_ARG(to));
    }
    return answer_redirect(r, (int)op->c->status, to);
}

static void set_query(req *r, const struct op *op)
{
    if (op->args) {
        str args = eval_escaped(op->args, r);
        r->query = op->c->keep_args && r->query.n ? with_args(r, op, args, true) : args;
        r->query_changed = true;
    } else if (!op->c->keep_args) {
        r->query = (str){NULL, 0};
        r->query_changed = true;
    }
    if (!r->query.n) {
        r->query.p = NULL;
    }
}

static int run_rewrite(req *r, const struct op *op)
{
    int rc = match(r, op, r->path);
    if (rc <= 0) {
        return rc < 0 ? rc : OP_ON;
    }
    r->internal = true;
    if (op->c->flag == CONF_FLAG_REDIRECT) {
        return rewrite_away(r, op);
    }
    str path = pool_dup(&r->pool, tmpl_eval(op->value, r));
    set_query(r, op);
    r->path = path;
    r->path_changed = true;
    r->uri_changed = op->c->flag != CONF_FLAG_BREAK;
    r->path_kept |= op->c->flag == CONF_FLAG_BREAK;
    if (r->route && r->route->c->rewrite_log) {
        req_log(r, LOG_NOTICE_, "rewritten data: \"%.*s\", args: \"%.*s\"", STR_ARG(r->path), (int)r->query.n, r->query.n ? r->query.p : "");
    }
    if (!path.n) {
        req_log(r, LOG_ERROR_, "the rewritten URI has a zero length");
        return ERR_IO;
    }
    return op->c->flag == CONF_FLAG_NONE ? OP_ON : OP_STOP;
}

static int run_return(req *r, const struct op *op)
{
    int status = (int)op->c->status;
    if (status == 444) {
        return ERR_NO_ANSWER;
    }
    if (status >= 400 && !op->value) {
        return error_answer(r, status);
    }
    str text = op->value ? tmpl_eval(op->value, r) : STR_EMPTY;
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
        return answer_redirect(r, status, text);
    }
    str type = mime_of_path(r->route, r->path);
    req_reply(r, status, text, type);
    int rc = text.n || status == 204 || !type.n ? 0 : headers_set(&r->res.h, STR("Content-Type"), type);
    return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
}

static int run_op(req *r, const struct op *op)
{
    switch ((enum conf_rewrite)op->c->op) {
    case CONF_REWRITE_SET:
        uservar_set(r, op->var, tmpl_eval(op->value, r));
        return OP_ON;
    case CONF_REWRITE_IF:
        return run_if(r, op);
    case CONF_REWRITE_REWRITE:
        return run_rewrite(r, op);
    case CONF_REWRITE_RETURN:
        return run_return(r, op);
    case CONF_REWRITE_BREAK:
        r->path_kept |= r->uri_changed;
        r->uri_changed = false;
        return OP_STOP;
    }
    return OP_ON;
}

static int run(req *r, const rewrites *w)
{
    int rc = OP_ON;
    for (int i = 0; rc == OP_ON && i < w->n; i++) {
        rc = run_op(r, &w->v[i]);
    }
    return rc;
}

int rewrite_run(req *r, const rewrites *w)
{
    r->content_lost = false;
    int rc = run(r, w);
    if (rc != OP_ON && rc != OP_STOP) {
        return rc;
    }
    return r->content_lost && !r->uri_changed ? ERR_IO : STEP_NEXT;
}
