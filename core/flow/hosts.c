/* hosts.c — see hosts.h. */
#include "flow/hosts.h"

#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "flow/route_regex.h"

#include <stdio.h>
#include <string.h>

struct host_regex {
    regex *re;
    struct site *site;
};

struct hosts {
    pool *pool;
    map exact; /* lower-case host → site */
    map dotted; /* "example.com" of ".example.com", when no site has that name itself */
    map wild;  /* "example.com" of "*.example.com" */
    map tail;  /* "www" of "www.*" */
    VEC(struct host_regex) regexes;
    struct site *any; /* "*" */
};

static void hosts_cleanup(void *arg)
{
    hosts *h = arg;
    map_fini(&h->exact);
    map_fini(&h->dotted);
    map_fini(&h->wild);
    map_fini(&h->tail);
    vec_fini(&h->regexes);
}

hosts *hosts_new(pool *p)
{
    hosts *h = pool_zalloc(p, sizeof *h);
    h->pool = p;
    map_init(&h->exact);
    map_init(&h->dotted);
    map_init(&h->wild);
    map_init(&h->tail);
    pool_on_fini(p, hosts_cleanup, h);
    return h;
}

static str lower_dup(pool *p, str s)
{
    char *out = pool_alloc(p, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        out[i] = (char)str_lower_char((unsigned char)s.p[i]);
    }
    out[s.n] = 0;
    return str_of(out, s.n);
}

/* Upper case in a pattern means that case does not matter: hosts are lower case when they come here. */
static int add_regex(hosts *h, struct site *s, str pattern, char *err, size_t cap)
{
    bool upper = false;
    for (size_t i = 0; i < pattern.n; i++) {
        upper |= pattern.p[i] >= 'A' && pattern.p[i] <= 'Z';
    }
    struct host_regex one = {route_regex(h->pool, pattern, upper, err, cap), s};
    if (!one.re) {
        return ERR_CONF;
    }
    vec_push(&h->regexes, one);
    return 0;
}

static int put(map *m, str key, struct site *s, bool first_wins, struct site **taken)
{
    struct site *before = map_get(m, key);
    if (before && before != s) {
        *taken = before;
        return first_wins ? 0 : ERR_CONF;
    }
    (void)map_put(m, key, s);
    return 0;
}

int hosts_add(hosts *h, struct site *s, str name, bool first_wins, struct site **taken, char *err,
              size_t errcap)
{
    *taken = NULL;
    if (str_eq(name, STR("*"))) {
        *taken = h->any != s ? h->any : NULL;
        h->any = h->any && first_wins ? h->any : s;
        return *taken && !first_wins ? ERR_CONF : 0;
    }
    if (str_has_prefix(name, STR("~"))) {
        return add_regex(h, s, str_from(name, 1), err, errcap);
    }
    if (str_has_prefix(name, STR("*."))) {
        return put(&h->wild, lower_dup(h->pool, str_from(name, 2)), s, first_wins, taken);
    }
    if (name.n > 1 && name.p[0] == '.') {
        str base = lower_dup(h->pool, str_from(name, 1));
        int rc = put(&h->dotted, base, s, first_wins, taken);
        return rc ? rc : put(&h->wild, base, s, first_wins, taken);
    }
    if (str_has_suffix(name, STR(".*"))) {
        name.n -= 2;
        return put(&h->tail, lower_dup(h->pool, name), s, first_wins, taken);
    }
    return put(&h->exact, lower_dup(h->pool, name), s, first_wins, taken);
}

static struct site *find_wild(const hosts *h, str host)
{
    struct site *s = h->dotted.n ? map_get(&h->dotted, host) : NULL;
    for (size_t dot = 0; !s && h->wild.n && dot < host.n;) {
        dot = str_find(host, '.', dot) + 1;
        s = dot < host.n ? map_get(&h->wild, str_from(host, dot)) : NULL;
    }
    return s;
}

static struct site *find_tail(const hosts *h, str host)
{
    for (size_t n = host.n; h->tail.n && n > 0; n--) {
        struct site *s = host.p[n - 1] == '.' ? map_get(&h->tail, str_of(host.p, n - 1)) : NULL;
        if (s) {
            return s;
        }
    }
    return NULL;
}

static struct site *find_regex(const hosts *h, str host, pool *p, struct host_match **match)
{
    regex_match m;
    for (uint32_t i = 0; i < h->regexes.n; i++) {
        int rc = regex_exec(h->regexes.v[i].re, host, 0, &m);
        if (rc < 0) {
            log_error("a regex of a host name failed: %s", err_text(rc));
        }
        if (rc != 1) {
            continue;
        }
        if (match) {
            struct host_match *out = pool_alloc(p, sizeof *out);
            *out = (struct host_match){h->regexes.v[i].re, pool_alloc(p, sizeof m), host};
            out->m->n = m.n;
            memcpy(out->m->at, m.at, sizeof m.at[0] * 2 * (size_t)m.n);
            *match = out;
        }
        return h->regexes.v[i].site;
    }
    return NULL;
}

struct site *hosts_find(const hosts *h, str host, pool *p, struct host_match **match)
{
    struct site *s = h->exact.n ? map_get(&h->exact, host) : NULL;
    if (UNLIKELY(!s) && host.n) {
        s = find_wild(h, host);
        s = s ? s : find_tail(h, host);
        if (!s && h->regexes.n) {
            s = find_regex(h, host, p, match);
        }
    }
    return s ? s : h->any;
}
