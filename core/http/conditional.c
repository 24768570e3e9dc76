/* conditional.c — see conditional.h. */
#include "http/conditional.h"

#include "http/date.h"

static str without_weak(str tag)
{
    return str_has_prefix(tag, STR("W/")) ? str_from(tag, 2) : tag;
}

static bool is_weak(str tag)
{
    return str_has_prefix(tag, STR("W/"));
}

static bool same_tag(str a, str b, bool weak)
{
    if (weak) {
        return str_eq(without_weak(a), without_weak(b));
    }
    return !is_weak(a) && str_eq(a, b);
}

/* The next entity-tag of the list; commas may stand inside the quotes. False: none is left. */
static bool next_tag(str *rest, str *tag)
{
    size_t i = 0;
    while (i < rest->n && (rest->p[i] == ',' || rest->p[i] == ' ' || rest->p[i] == '\t')) {
        i++;
    }
    size_t from = i;
    bool quoted = false;
    for (; i < rest->n && (quoted || rest->p[i] != ','); i++) {
        quoted = rest->p[i] == '"' ? !quoted : quoted;
    }
    size_t end = i;
    while (end > from && (rest->p[end - 1] == ' ' || rest->p[end - 1] == '\t')) {
        end--;
    }
    *tag = str_of(rest->p + from, end - from);
    *rest = str_from(*rest, i);
    return end > from;
}

bool conditional_lists_tag(str list, str etag, bool weak)
{
    if (str_eq(list, STR("*"))) {
        return true;
    }
    str tag;
    while (etag.n && next_tag(&list, &tag)) {
        if (same_tag(tag, etag, weak)) {
            return true;
        }
    }
    return false;
}

static bool any_lists_tag(const headers *in, enum token t, str etag, bool weak)
{
    for (const field *f = headers_find(in, t); f; f = headers_next(in, f)) {
        if (conditional_lists_tag(f->value, etag, weak)) {
            return true;
        }
    }
    return false;
}

static bool is_modified_since(const struct conditional_args *a, str date)
{
    int64_t at_s;
    if (a->modified_s < 0 || a->since == CONDITIONAL_OFF || date_parse(date, &at_s) < 0) {
        return true;
    }
    if (at_s == a->modified_s) {
        return false;
    }
    return a->since == CONDITIONAL_EXACT || at_s < a->modified_s;
}

static bool is_unmodified_since(const struct conditional_args *a, str date)
{
    int64_t at_s;
    return a->modified_s >= 0 && date_parse(date, &at_s) == 0 && at_s >= a->modified_s;
}

int conditional_check(const struct conditional_args *a)
{
    bool rfc = a->since == CONDITIONAL_RFC;
    const field *match = headers_find(a->in, TOKEN_IF_MATCH);
    const field *unmodified = headers_find(a->in, TOKEN_IF_UNMODIFIED_SINCE);
    if (match && !any_lists_tag(a->in, TOKEN_IF_MATCH, a->etag, false)) {
        return CONDITIONAL_FAILED;
    }
    if (unmodified && !(match && rfc) && !is_unmodified_since(a, unmodified->value)) {
        return CONDITIONAL_FAILED;
    }
    const field *none = headers_find(a->in, TOKEN_IF_NONE_MATCH);
    const field *since = headers_find(a->in, TOKEN_IF_MODIFIED_SINCE);
    if (none && rfc) {
        since = NULL;
    }
    if (!none && !since) {
        return CONDITIONAL_PASS;
    }
    if ((since && is_modified_since(a, since->value)) || (none && !any_lists_tag(a->in, TOKEN_IF_NONE_MATCH, a->etag, true))) {
        return CONDITIONAL_PASS;
    }
    return CONDITIONAL_NOT_MODIFIED;
}

bool conditional_if_range(str value, str etag, int64_t modified_s)
{
    if (value.n >= 2 && value.p[value.n - 1] == '"') {
        return etag.n && same_tag(value, etag, false);
    }
    int64_t at_s;
    return modified_s >= 0 && date_parse(value, &at_s) == 0 && at_s == modified_s;
}
