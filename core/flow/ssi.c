/* ssi.c — see ssi.h. */
#include "flow/ssi.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/regex.h"
#include "flow/guard.h"
#include "flow/ssi_tag.h"
#include "flow/var.h"
#include "flow/var_impl.h"

#include <time.h>

enum { CAPTURES = 10 };

struct ssi_vars {
    pool *pool; /* of the request that lives longest */
    struct {
        str name, value;
    } v[SSI_VARS];
    int n;
    size_t bytes;
    str captures[CAPTURES];
    str timefmt;
};

ssi_vars *ssi_vars_of(req *r)
{
    struct guard_state *st = guard_of(r);
    if (!st->ssi) {
        st->ssi = pool_zalloc(&r->pool, sizeof *st->ssi);
        st->ssi->pool = &r->pool;
    }
    return st->ssi;
}

int ssi_set(req *r, str name, str value)
{
    ssi_vars *s = ssi_vars_of(r);
    s->bytes += value.n;
    if (s->bytes > SSI_VALUE_MAX) {
        return ERR_LIMIT;
    }
    int i = 0;
    while (i < s->n && !str_eq(s->v[i].name, name)) {
        i++;
    }
    if (i == SSI_VARS) {
        return ERR_LIMIT;
    }
    if (i == s->n) {
        s->v[s->n++].name = pool_dup(s->pool, name);
    }
    s->v[i].value = pool_dup(s->pool, value);
    return 0;
}

str ssi_get(req *r, str name)
{
    const ssi_vars *s = ssi_vars_of(r);
    for (int i = 0; i < s->n; i++) {
        if (str_eq(s->v[i].name, name)) {
            return s->v[i].value;
        }
    }
    if (name.n == 1 && name.p[0] >= '0' && name.p[0] <= '9') {
        return s->captures[name.p[0] - '0'];
    }
    return var_get(r, name);
}

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The name behind a "$"; moves *rest behind it. */
static int take_name(str *rest, str *name)
{
    if (rest->n && rest->p[0] == '{') {
        size_t end = str_find(*rest, '}', 0);
        if (end == rest->n) {
            return ERR_INVALID;
        }
        *name = str_of(rest->p + 1, end - 1);
        *rest = str_from(*rest, end + 1);
        return 0;
    }
    size_t n = 0;
    bool digit = rest->n && rest->p[0] >= '0' && rest->p[0] <= '9';
    while (n < rest->n && is_name_char(rest->p[n]) && !(digit && n == 1)) {
        n++;
    }
    *name = str_of(rest->p, n);
    *rest = str_from(*rest, n);
    return 0;
}

int ssi_expand(req *r, str text, str *out)
{
    enum { PARTS = 64 };
    str parts[PARTS];
    size_t n = 0;
    while (text.n) {
        if (n + 2 > PARTS) {
            return ERR_LIMIT;
        }
        size_t dollar = str_find(text, '$', 0);
        bool escaped = dollar && dollar < text.n && text.p[dollar - 1] == '\\';
        parts[n++] = str_of(text.p, escaped ? dollar - 1 : dollar);
        text = str_from(text, dollar < text.n ? dollar + 1 : text.n);
        if (escaped) {
            parts[n++] = STR("$");
        } else if (dollar < (size_t)(text.p - parts[n - 1].p)) {
            str name, value;
            if (take_name(&text, &name) < 0) {
                return ERR_INVALID;
            }
            value = name.n ? ssi_get(r, name) : STR("$");
            parts[n++] = value.p ? value : STR_EMPTY;
        }
    }
    *out = pool_join(&r->pool, parts, n);
    return 0;
}

static void keep_captures(ssi_vars *s, str subject, const regex_match *m)
{
    for (int i = 0; i < CAPTURES; i++) {
        bool set = i < m->n && m->at[2 * i] >= 0;
        s->captures[i] = set ? pool_dup(s->pool, str_of(subject.p + m->at[2 * i], (size_t)(m->at[2 * i + 1] - m->at[2 * i]))) : (str){NULL, 0};
    }
}

struct naming {
    req *r;
    str subject;
    const regex_match *m;
};

static void keep_named(str name, int number, void *arg)
{
    const struct naming *n = arg;
    if (number < n->m->n && n->m->at[2 * number] >= 0) {
        str value = str_of(n->subject.p + n->m->at[2 * number], (size_t)(n->m->at[2 * number + 1] - n->m->at[2 * number]));
        (void)!ssi_set(n->r, name, value); /* too many: it stays unset */
    }
}

static int matches(req *r, str subject, str pattern)
{
    char err[128];
    size_t at;
    regex_match m;
    regex *re = pattern.n <= SSI_PATTERN_MAX ? regex_new(pattern, 0, err, sizeof err, &at) : NULL;
    if (!re) {
        return ERR_INVALID;
    }
    int rc = regex_exec(re, subject, 0, &m);
    if (rc > 0) {
        struct naming n = {r, subject, &m};
        keep_captures(ssi_vars_of(r), subject, &m);
        regex_each_name(re, keep_named, &n);
    }
    regex_free(re);
    return rc;
}

int ssi_holds(req *r, str expression)
{
    struct ssi_condition c = ssi_condition_parse(expression);
    str left, right;
    int rc = ssi_expand(r, c.left, &left);
    if (rc < 0 || !c.compares) {
        return rc < 0 ? rc : left.n > 0;
    }
    if (c.is_pattern) {
        rc = matches(r, left, c.right);
    } else {
        rc = ssi_expand(r, c.right, &right);
        rc = rc < 0 ? rc : str_eq(left, right);
    }
    return rc < 0 ? rc : rc != c.negated;
}

void ssi_set_timefmt(req *r, str format)
{
    ssi_vars *s = ssi_vars_of(r);
    s->timefmt = pool_dup(s->pool, format);
}

str ssi_date(req *r, bool local)
{
    const ssi_vars *s = r->guard ? r->guard->ssi : NULL;
    const char *format = s && s->timefmt.n ? s->timefmt.p : "%A, %d-%b-%Y %H:%M:%S %Z";
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    char text[256];
    if (strcmp(format, "%s") == 0) {
        return var_number(r, (uint64_t)now);
    }
    struct tm *ok = local ? localtime_r(&now, &tm) : gmtime_r(&now, &tm);
    /* the format is the page's: strftime is bounded and reads nothing but tm */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t n = ok ? strftime(text, sizeof text, format, &tm) : 0;
#pragma GCC diagnostic pop
    return pool_dup(&r->pool, str_of(text, n));
}

str var_get_date_gmt(req *r, str arg)
{
    (void)arg;
    return ssi_date(r, false);
}

str var_get_date_local(req *r, str arg)
{
    (void)arg;
    return ssi_date(r, true);
}
