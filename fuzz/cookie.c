/* cookie.c — Cookie and Set-Cookie, Location and Refresh: looked up by name, and rewritten on the way to the client.
 *
 * Input: a byte that picks a route with its rules, then lines: a cookie's name, the words of the flags rule, two Cookie fields, Location, Refresh, and any number of
 * Set-Cookie fields. Properties: a name finds what a scan byte by byte finds; name and value of a cookie never change, nor attributes that no rule is about, nor
 * anything when no rule fits; of an attribute that flags are about there is at most one afterwards, and it is what the last word said; no value gets bytes that may
 * not stand in a field; rules that were applied are applied again with the same result. */
#include "support.h"

#include "base/log.h"
#include "conf/build.h"
#include "flow/exchange_impl.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "flow/retouch.h"
#include "flow/var_impl.h"
#include "http/cookie.h"

#include <stdio.h>
#include <string.h>

enum { COOKIES_MAX = 8, ATTRS_MAX = 64, ROUTES = 3 };

static struct {
    loop *l;
    plan *p;
} world;

/* ---- the rules */

static void *array(conf *c, enum conf_kind kind, const char *name, void *obj, int n)
{
    return conf_set_array(c, conf_field_find(kind, str_c(name)), obj, n);
}

static void text(conf *c, enum conf_kind kind, const char *name, void *obj, const char *value)
{
    REQUIRE(conf_set_str(c, conf_field_find(kind, str_c(name)), obj, str_c(value)) == 0);
}

struct cookie_rule {
    const char *part, *from, *to;
    bool regex;
};

/* Of each route. Words of flags come with the request; a rule's own result never fits it again. */
static const struct cookie_rule rules[ROUTES][4] = {
    {{"domain", "origin.example", "site.example", false}, {"path", "/app/", "/", false}, {"flags", "", "$arg_flags", true}},
    {{"domain", "^\\.?([a-z]+)\\.(local)$", "$1.example", true}, {"path", "^/([^/]+)/old(.*)$", "/new/$1$2", true}, {"flags", "sid", "$arg_flags", false}},
    {{"path", "/$arg_flags", "/x", false}, {"flags", "^(?<kind>[a-z])", "secure $arg_flags", true}, {"domain", "$arg_flags", "$cookie_domain", false}},
};

static void add_rules(conf *c, struct conf_route *r, int which)
{
    struct conf_exchange *x = array(c, CONF_KIND_route, "exchange", r, 1);
    struct conf_cookieop *ops = array(c, CONF_KIND_exchange, "cookies", x, 3);
    for (int i = 0; i < 3; i++) {
        const struct cookie_rule *rule = &rules[which][i];
        text(c, CONF_KIND_cookieop, "part", &ops[i], rule->part);
        text(c, CONF_KIND_cookieop, "from", &ops[i], rule->from);
        text(c, CONF_KIND_cookieop, "to", &ops[i], rule->to);
        ops[i].is_regex = rule->regex;
    }
    struct conf_redirect *d = array(c, CONF_KIND_exchange, "redirects", x, 2);
    text(c, CONF_KIND_redirect, "from", &d[0], "http://origin.example/");
    text(c, CONF_KIND_redirect, "to", &d[0], which ? "$scheme://site.example/" : "/");
    text(c, CONF_KIND_redirect, "from", &d[1], "^ftp://([^/]+)(/.*)?$");
    text(c, CONF_KIND_redirect, "to", &d[1], "https://$1$2");
    d[1].is_regex = d[1].caseless = true;
}

static conf *make_conf(void)
{
    conf *c = conf_new();
    struct conf_site *s = array(c, CONF_KIND_gateway, "sites", &c->g, 1);
    *(str *)array(c, CONF_KIND_site, "names", s, 1) = STR("*");
    struct conf_route *r = array(c, CONF_KIND_site, "routes", s, ROUTES);
    for (int i = 0; i < ROUTES; i++) {
        char pattern[] = {'/', (char)('a' + i), '\0'};
        text(c, CONF_KIND_route, "pattern", &r[i], pattern);
        text(c, CONF_KIND_route, "match", &r[i], "exact");
        text(c, CONF_KIND_route, "action", &r[i], "reply");
        r[i].absolute_redirect = i == 1;
        add_rules(c, &r[i], i);
    }
    struct conf_listen *l = array(c, CONF_KIND_gateway, "listens", &c->g, 1);
    text(c, CONF_KIND_listen, "address", l, "127.0.0.1:80");
    *(int *)array(c, CONF_KIND_listen, "sites", l, 1) = 0;
    return c;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    char err[256] = "";
    log_set_level(LOG_EMERG_);
    world.l = loop_new();
    conf *c = make_conf();
    REQUIRE(world.l && conf_freeze(c, err, sizeof err) == 0);
    world.p = plan_new(c, 1, err, sizeof err);
    if (!world.p) {
        fatal("%s", err);
    }
    return 0;
}

/* ---- looking up */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The first pair of this name, byte by byte. */
static bool scan(str text, str name, str *value)
{
    for (size_t at = 0; at < text.n;) {
        size_t end = at, eq = SIZE_MAX;
        for (; end < text.n && text.p[end] != ';'; end++) {
            eq = eq == SIZE_MAX && text.p[end] == '=' ? end : eq;
        }
        size_t a = at, b = eq, c = eq + 1, d = end;
        at = end + 1;
        if (eq == SIZE_MAX) {
            continue;
        }
        for (; a < b && is_blank(text.p[a]); a++) {
        }
        for (; b > a && is_blank(text.p[b - 1]); b--) {
        }
        for (; c < d && is_blank(text.p[c]); c++) {
        }
        for (; d > c && is_blank(text.p[d - 1]); d--) {
        }
        if (b - a == name.n && name.n && memcmp(text.p + a, name.p, name.n) == 0) {
            bool quoted = d - c >= 2 && text.p[c] == '"' && text.p[d - 1] == '"';
            *value = quoted ? str_of(text.p + c + 1, d - c - 2) : str_of(text.p + c, d - c);
            return true;
        }
    }
    return false;
}

static void check_lookup(req *r, str name, const str fields[2])
{
    str got, expected = {NULL, 0};
    bool found = scan(fields[0], name, &expected) || scan(fields[1], name, &expected);
    bool is = cookie_get(&r->in.h, name, &got);
    if (name.n && is_blank(name.p[0]) == is_blank(name.p[name.n - 1]) && !is_blank(name.p[0])) {
        REQUIRE(is == found && (!is || str_eq(got, expected)));
        str v = var_get_cookie(r, name);
        REQUIRE(!v.p == !found && (!found || str_eq(v, expected)));
    }
}

/* ---- rewriting */

struct parts {
    str name[ATTRS_MAX], value[ATTRS_MAX]; /* [0] is the cookie itself; value.p NULL: none */
    int n;
};

static void take_apart(str cookie, struct parts *to)
{
    str part;
    *to = (struct parts){.n = 0};
    while (to->n < ATTRS_MAX && str_split(&cookie, ';', &part)) {
        size_t eq = str_find(part, '=', 0);
        to->name[to->n] = str_trim(str_of(part.p, eq));
        to->value[to->n++] = eq < part.n ? str_trim(str_from(part, eq + 1)) : (str){NULL, 0};
    }
}

static bool is_same(str a, str b)
{
    return !a.p == !b.p && str_eq(a, b);
}

static bool is_any(str name, const char *const *names)
{
    for (; *names; names++) {
        if (str_ieq(name, str_c(*names))) {
            return true;
        }
    }
    return false;
}

static const char *const flag_names[] = {"Secure", "HttpOnly", "SameSite", NULL};
static const char *const touched_names[] = {"Secure", "HttpOnly", "SameSite", "Domain", "Path", NULL};

/* What no rule is about is as it was, in order. */
static void check_untouched(const struct parts *a, const struct parts *b)
{
    REQUIRE(is_same(a->name[0], b->name[0]) && is_same(a->value[0], b->value[0]));
    int k = 1;
    for (int i = 1; i < a->n; i++) {
        if (is_any(a->name[i], touched_names)) {
            continue;
        }
        while (k < b->n && is_any(b->name[k], touched_names)) {
            k++;
        }
        REQUIRE(k < b->n && is_same(a->name[i], b->name[k]) && is_same(a->value[i], b->value[k]));
        k++;
    }
    for (; k < b->n; k++) {
        REQUIRE(is_any(b->name[k], touched_names));
    }
}

/* The last word about each flag holds. `words` is NULL-terminated text of the rule. */
static void check_flags(const struct parts *b, str words)
{
    for (const char *const *flag = flag_names; *flag; flag++) {
        size_t len = strlen(*flag);
        int wish = -1;
        str rest = words, word, mode = STR_EMPTY;
        while (str_split(&rest, ' ', &word)) {
            bool off = str_has_iprefix(word, STR("no"));
            str bare = off ? str_from(word, 2) : word;
            bool valued = len == 8 && (*flag)[0] == 'S'; /* SameSite */
            if (str_ieq(bare, str_c(*flag)) && (off || !valued)) {
                wish = !off;
                mode = STR_EMPTY;
            } else if (valued && !off &&
                       (str_ieq(word, STR("samesite=strict")) || str_ieq(word, STR("samesite=lax")) || str_ieq(word, STR("samesite=none")))) {
                wish = 1;
                mode = str_from(word, 9);
            }
        }
        int found = 0;
        for (int i = 1; i < b->n; i++) {
            if (str_ieq(b->name[i], str_c(*flag))) {
                found++;
                REQUIRE(wish != 1 || !mode.n || str_ieq(b->value[i], mode));
            }
        }
        REQUIRE(wish < 0 || found == wish);
    }
}

struct line {
    str before, after;
};

static void rewrite(const struct retouch *t, req *r, struct line *v, int n, const str redirects[2])
{
    msg_init(&r->res, &r->pool);
    r->res.status = 302;
    if (redirects[0].n) {
        REQUIRE(headers_add_token(&r->res.h, TOKEN_LOCATION, redirects[0]) == 0);
    }
    if (redirects[1].n) {
        REQUIRE(headers_add_token(&r->res.h, TOKEN_REFRESH, redirects[1]) == 0);
    }
    for (int i = 0; i < n; i++) {
        REQUIRE(headers_add_token(&r->res.h, TOKEN_SET_COOKIE, v[i].before) == 0);
    }
    retouch_apply(t, r);
    uint32_t at = 0;
    int i = 0;
    for (const field *f; (f = headers_each(&r->res.h, &at)) != NULL;) {
        REQUIRE(headers_value_is_ok(f->value));
        if (f->token == TOKEN_SET_COOKIE) {
            v[i++].after = f->value;
        }
    }
    REQUIRE(i == n);
}

static void check_cookie(req *r, const struct line *l, str words)
{
    (void)r;
    static struct parts a, b;
    take_apart(l->before, &a);
    take_apart(l->after, &b);
    if (l->before.p == l->after.p && l->before.n == l->after.n) {
        return; /* nothing fitted, or it is no cookie anybody writes */
    }
    check_untouched(&a, &b);
    if (words.p) {
        check_flags(&b, words);
    }
}

static void check_rewriting(req *r, str words, struct line *v, int n, const str redirects[2])
{
    const struct retouch *t = r->route->exchange->retouch;
    rewrite(t, r, v, n, redirects);
    bool all = r->route == &r->plan->sites[0].routes[0]; /* its flags rule fits every cookie */
    for (int i = 0; i < n; i++) {
        check_cookie(r, &v[i], all ? words : (str){NULL, 0});
    }
    struct line again[COOKIES_MAX];
    for (int i = 0; i < n; i++) {
        again[i].before = v[i].after;
    }
    rewrite(t, r, again, n, redirects);
    for (int i = 0; i < n && all; i++) {
        static struct parts a, b;
        take_apart(v[i].after, &a);
        take_apart(again[i].after, &b);
        check_untouched(&a, &b);
    }
}

/* ---- one input */

static str next_line(str *rest)
{
    size_t n = str_find(*rest, '\n', 0);
    str line = str_of(rest->p, n);
    *rest = str_from(*rest, n + 1);
    return headers_value_is_ok(line) ? str_trim(line) : STR_EMPTY; /* as a parser hands it on */
}

static bool is_query(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '&' || s.p[i] == '=') {
            return false;
        }
    }
    return true;
}

static req *make_req(unsigned index, str words, const str fields[2])
{
    req *r = req_new(world.l, world.p, &world.p->listens[0], NULL, NULL);
    memset(&r->client, 0, sizeof r->client);
    r->client_known = true;
    r->site = &world.p->sites[0];
    r->route = &world.p->sites[0].routes[index];
    r->host = STR("a.example");
    r->query = pool_printf(&r->pool, "flags=%.*s", STR_ARG(words));
    for (int i = 0; i < 2; i++) {
        REQUIRE(headers_add_token(&r->in.h, TOKEN_COOKIE, fields[i]) == 0);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    str rest = str_of((const char *)data + 1, size - 1);
    str name = next_line(&rest), words = next_line(&rest);
    str fields[2], redirects[2];
    fields[0] = next_line(&rest);
    fields[1] = next_line(&rest);
    redirects[0] = next_line(&rest);
    redirects[1] = next_line(&rest);
    struct line v[COOKIES_MAX];
    int n = 0;
    while (rest.n && n < COOKIES_MAX) {
        v[n++].before = next_line(&rest);
    }
    words = is_query(words) ? words : STR_EMPTY;
    req *r = make_req(data[0] % ROUTES, words, fields);
    check_lookup(r, name, fields);
    check_rewriting(r, words, v, n, redirects);
    req_free(r);
    return 0;
}
