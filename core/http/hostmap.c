/* hostmap.c — see hostmap.h. A wildcard is found by cutting labels off the name, one look-up each. */
#include "http/hostmap.h"

#include "base/err.h"

static void cleanup(void *arg)
{
    hostmap *m = arg;
    map_fini(&m->exact);
    map_fini(&m->head);
    map_fini(&m->tail);
}

void hostmap_init(hostmap *m, pool *p)
{
    m->pool = p;
    map_init(&m->exact);
    map_init(&m->head);
    map_init(&m->tail);
    pool_on_fini(p, cleanup, m);
}

str hostmap_lower(pool *p, str s)
{
    char *out = pool_alloc(p, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        out[i] = (char)str_lower_char((unsigned char)s.p[i]);
    }
    out[s.n] = 0;
    return str_of(out, s.n);
}

static int put(map *m, str key, void *value)
{
    void *before = map_put(m, key, value);
    if (before) {
        map_put(m, key, before);
        return ERR_EXISTS;
    }
    return 0;
}

/* A star anywhere but at an end, empty labels: what no host can match. */
static bool is_sound(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '*' || (s.p[i] == '.' && i + 1 < s.n && s.p[i + 1] == '.')) {
            return false;
        }
    }
    return s.n > 0;
}

int hostmap_put(hostmap *m, str name, bool wild, void *value)
{
    str low = hostmap_lower(m->pool, name);
    if (!wild) {
        return put(&m->exact, low, value);
    }
    if (str_has_prefix(low, STR("*."))) {
        low = str_from(low, 2);
        return is_sound(low) ? put(&m->head, low, value) : ERR_INVALID;
    }
    if (low.n > 1 && low.p[0] == '.') {
        low = str_from(low, 1);
        int rc = is_sound(low) ? put(&m->exact, low, value) : ERR_INVALID;
        return rc < 0 ? rc : put(&m->head, low, value);
    }
    if (str_has_suffix(low, STR(".*"))) {
        low.n -= 2;
        return is_sound(low) ? put(&m->tail, low, value) : ERR_INVALID;
    }
    return is_sound(low) || low.n == 0 ? put(&m->exact, low, value) : ERR_INVALID;
}

void *hostmap_get(const hostmap *m, str name)
{
    void *v = m->exact.n ? map_get(&m->exact, name) : NULL;
    for (size_t dot = 0; !v && m->head.n && dot < name.n;) {
        dot = str_find(name, '.', dot) + 1;
        v = dot < name.n ? map_get(&m->head, str_from(name, dot)) : NULL;
    }
    for (size_t n = name.n; !v && m->tail.n && n > 0;) {
        n--;
        if (name.p[n] == '.' && n + 1 < name.n) {
            v = map_get(&m->tail, str_of(name.p, n));
        }
    }
    return v;
}
