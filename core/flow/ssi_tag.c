/* ssi_tag.c — see ssi_tag.h. */
#include "flow/ssi_tag.h"

#include "base/err.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static str skip_blank(str s)
{
    while (s.n && is_blank(s.p[0])) {
        s = str_from(s, 1);
    }
    return s;
}

static str word(str *rest)
{
    size_t n = 0;
    while (n < rest->n && !is_blank(rest->p[n]) && rest->p[n] != '=') {
        n++;
    }
    str w = str_of(rest->p, n);
    *rest = skip_blank(str_from(*rest, n));
    return w;
}

/* "value" or 'value'; false: neither. */
static bool quoted(str *rest, pool *p, str *out)
{
    char quote = rest->n ? rest->p[0] : 0;
    if (quote != '"' && quote != '\'') {
        return false;
    }
    char *to = pool_alloc(p, rest->n);
    size_t n = 0, i = 1;
    for (; i < rest->n && rest->p[i] != quote; i++) {
        bool escaped = rest->p[i] == '\\' && i + 1 < rest->n && (rest->p[i + 1] == quote || rest->p[i + 1] == '\\');
        i += escaped;
        to[n++] = rest->p[i];
    }
    if (i >= rest->n) {
        return false;
    }
    *out = str_of(to, n);
    *rest = skip_blank(str_from(*rest, i + 1));
    return true;
}

int ssi_tag_parse(str text, pool *p, ssi_tag *out)
{
    *out = (ssi_tag){.n = 0};
    str rest = skip_blank(text);
    out->name = word(&rest);
    while (rest.n) {
        if (out->n == SSI_PARAMS) {
            return ERR_INVALID;
        }
        ssi_param *to = &out->v[out->n++];
        to->name = word(&rest);
        if (!to->name.n || !rest.n || rest.p[0] != '=') {
            return ERR_INVALID;
        }
        rest = skip_blank(str_from(rest, 1));
        if (!quoted(&rest, p, &to->value)) {
            return ERR_INVALID;
        }
    }
    return out->name.n ? 0 : ERR_INVALID;
}

str ssi_tag_get(const ssi_tag *t, str name)
{
    for (int i = 0; i < t->n; i++) {
        if (str_ieq(t->v[i].name, name)) {
            return t->v[i].value;
        }
    }
    return (str){NULL, 0};
}

struct ssi_condition ssi_condition_parse(str text)
{
    struct ssi_condition c = {.left = str_trim(text)};
    size_t at = str_find(text, '=', 0);
    if (at == text.n) {
        return c;
    }
    c.compares = true;
    c.negated = at > 0 && text.p[at - 1] == '!';
    c.left = str_trim(str_of(text.p, c.negated ? at - 1 : at));
    c.right = str_trim(str_from(text, at + 1));
    c.is_pattern = c.right.n >= 2 && c.right.p[0] == '/' && c.right.p[c.right.n - 1] == '/';
    if (c.is_pattern) {
        c.right = str_of(c.right.p + 1, c.right.n - 2);
    }
    return c;
}
