/* filter_compress.c — see filter_compress.h. Which responses: by type, size and status, never those that are coded already, must not be transformed, are a part, or
 * are an event stream. `classic` is nginx's choice: statuses 200, 403 and 404, gzip only when it is named, its tests of requests that come through proxies. */
#include "flow/filter_compress.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "base/regex.h"
#include "conf/conf.h"
#include "flow/transcode.h"
#include "flow/var_impl.h"
#include "http/date.h"

#include <stdio.h>

enum { TYPE_MAX = 128 };

/* Bits of compress_proxied, in the order of its documentation. */
enum { VIA_EXPIRED = 1, VIA_NO_CACHE = 2, VIA_NO_STORE = 4, VIA_PRIVATE = 8, VIA_NO_MODIFIED = 16, VIA_NO_ETAG = 32, VIA_AUTH = 64, VIA_ANY = 128 };

struct compress_rules {
    map types; /* media type in lower case → itself */
    bool any_type;
    enum coding offered[CODING_COUNT];
    int noffered;
    regex **agents; /* User-Agents that get nothing */
    int nagents;
};

/* -- compiling */

static void on_fini(void *arg)
{
    compress_rules *c = arg;
    map_fini(&c->types);
    for (int i = 0; i < c->nagents; i++) {
        regex_free(c->agents[i]);
    }
}

static int compile_agents(const route *rt, compress_rules *rules, pool *p, char *err, size_t errcap)
{
    const struct conf_strs *c = &rt->c->compress_disable;
    rules->agents = pool_zalloc(p, sizeof *rules->agents * (size_t)(c->n ? c->n : 1));
    for (int i = 0; i < c->n; i++) {
        char why[200];
        size_t at;
        regex *re = regex_new(c->v[i], REGEX_CASELESS, why, sizeof why, &at);
        if (!re) {
            snprintf(err, errcap, "%s: compress: %s at position %zu of \"%.*s\"", rt->c->label.n ? rt->c->label.p : "route", why, at + 1, STR_ARG(c->v[i]));
            return ERR_CONF;
        }
        rules->agents[rules->nagents++] = re;
    }
    return 0;
}

int filter_compress_compile(const route *rt, pool *p, compress_rules **out, char *err, size_t errcap)
{
    const struct conf_route *c = rt->c;
    *out = NULL;
    if (!c->compress && !c->gunzip && !c->precompressed) {
        return 0;
    }
    compress_rules *rules = pool_zalloc(p, sizeof *rules);
    map_init(&rules->types);
    pool_on_fini(p, on_fini, rules);
    for (int i = 0; i < c->compress_types.n; i++) {
        rules->any_type = rules->any_type || str_eq(c->compress_types.v[i], STR("*"));
        map_put(&rules->types, c->compress_types.v[i], rules);
    }
    for (int i = 0; i < c->compress_encodings.n && rules->noffered < CODING_COUNT; i++) {
        enum coding coding = coding_find(c->compress_encodings.v[i]);
        if (coding != CODING_COUNT && coding != CODING_IDENTITY) {
            rules->offered[rules->noffered++] = coding;
        }
    }
    *out = rules;
    return compile_agents(rt, rules, p, err, errcap);
}

/* -- the response */

static str value_of(const headers *h, enum token t)
{
    const field *f = headers_may_have(h, t) ? headers_find(h, t) : NULL;
    return f ? f->value : STR_EMPTY;
}

static bool type_fits(const req *r, const compress_rules *rules)
{
    str value = value_of(&r->res.h, TOKEN_CONTENT_TYPE), type;
    if (!str_split(&value, ';', &type) || type.n == 0) {
        return rules->any_type;
    }
    char low[TYPE_MAX];
    if (type.n > sizeof low) {
        return false;
    }
    for (size_t i = 0; i < type.n; i++) {
        low[i] = (char)str_lower_char((unsigned char)type.p[i]);
    }
    type = str_of(low, type.n);
    return !str_eq(type, STR("text/event-stream")) && (rules->any_type || map_get(&rules->types, type));
}

static bool status_fits(const req *r)
{
    int s = r->res.status;
    return r->route->c->compress == CONF_COMPRESS_ON || s == 200 || s == 403 || s == 404;
}

/* The answer to HEAD says what GET would get (RFC 9110 §9.3.2): an upstream's has its length in the field only. */
static bool has_body(const req *r)
{
    return filter_has_body(r) || (r->in.method == METHOD_HEAD && r->res.body == MSG_BODY_NONE && r->res.status == 200);
}

static int64_t length_of(const req *r)
{
    const msg *m = &r->res;
    int64_t said = -1;
    if (m->body == MSG_BODY_NONE && str_to_i64(value_of(&m->h, TOKEN_CONTENT_LENGTH), &said) < 0) {
        return -1;
    }
    return m->body == MSG_BODY_LENGTH ? m->length : said;
}

static bool response_fits(const req *r)
{
    const msg *m = &r->res;
    int64_t length = length_of(r);
    if (!has_body(r) || !status_fits(r)) {
        return false;
    }
    if ((length >= 0 && length < r->route->c->compress_min) || value_of(&m->h, TOKEN_CONTENT_ENCODING).n || headers_find(&m->h, TOKEN_CONTENT_RANGE)) {
        return false;
    }
    return !headers_lists(&m->h, TOKEN_CACHE_CONTROL, STR("no-transform")) && type_fits(r, r->route->compress);
}

/* -- the request */

static bool expired(str expires)
{
    int64_t at_s, now_s = clock_wall_ms() / 1000;
    return date_parse(expires, &at_s) == 0 && at_s < now_s;
}

/* nginx's gzip_proxied: a request that names a proxy in Via gets compressed only what that one will not keep, or what the rule says. */
static bool proxy_fits(const req *r)
{
    int64_t rule = r->route->c->compress_proxied;
    const headers *h = &r->res.h;
    if ((rule & VIA_ANY) || !headers_find(&r->in.h, TOKEN_VIA)) {
        return true;
    }
    if (rule == 0) {
        return false;
    }
    if ((rule & VIA_AUTH) && headers_find(&r->in.h, TOKEN_AUTHORIZATION)) {
        return true;
    }
    if (headers_find(h, TOKEN_EXPIRES)) {
        return (rule & VIA_EXPIRED) && expired(value_of(h, TOKEN_EXPIRES));
    }
    if (headers_find(h, TOKEN_CACHE_CONTROL)) {
        return ((rule & VIA_NO_CACHE) && headers_lists(h, TOKEN_CACHE_CONTROL, STR("no-cache"))) ||
               ((rule & VIA_NO_STORE) && headers_lists(h, TOKEN_CACHE_CONTROL, STR("no-store"))) ||
               ((rule & VIA_PRIVATE) && headers_lists(h, TOKEN_CACHE_CONTROL, STR("private")));
    }
    return !((rule & VIA_NO_MODIFIED) && headers_find(h, TOKEN_LAST_MODIFIED)) && !((rule & VIA_NO_ETAG) && headers_find(h, TOKEN_ETAG));
}

static bool agent_fits(const req *r)
{
    const compress_rules *rules = r->route->compress;
    str agent = rules->nagents ? value_of(&r->in.h, TOKEN_USER_AGENT) : STR_EMPTY;
    for (int i = 0; i < rules->nagents && agent.n; i++) {
        if (regex_exec(rules->agents[i], agent, 0, NULL) != 0) {
            return false;
        }
    }
    return true;
}

static bool request_fits(const req *r)
{
    bool version = r->in.version >= HTTP_1_1 || r->route->c->compress_http == 0;
    return version && proxy_fits(r) && agent_fits(r);
}

bool filter_gzip_is_ok(req *r)
{
    static const enum coding gzip[1] = {CODING_GZIP};
    struct coding_wishes w;
    if (r->sub || !headers_may_have(&r->in.h, TOKEN_ACCEPT_ENCODING) || !request_fits(r)) {
        return false; /* a part of another answer is plain */
    }
    coding_wishes(&r->in.h, &w);
    return coding_choose(&w, gzip, 1, false) == CODING_GZIP;
}

static enum coding choose(const req *r)
{
    const compress_rules *rules = r->route->compress;
    struct coding_wishes w;
    if (!headers_may_have(&r->in.h, TOKEN_ACCEPT_ENCODING) || !request_fits(r)) {
        return CODING_IDENTITY;
    }
    coding_wishes(&r->in.h, &w);
    return coding_choose(&w, rules->offered, rules->noffered, r->route->c->compress == CONF_COMPRESS_ON);
}

int filter_packed_codings(req *r, enum coding out[CODING_COUNT])
{
    const compress_rules *rules = r->route->compress;
    bool always = r->route->c->precompressed == CONF_PRECOMPRESSED_ALWAYS;
    struct coding_wishes w;
    int n = 0;
    if (!always && (!headers_may_have(&r->in.h, TOKEN_ACCEPT_ENCODING) || !request_fits(r))) {
        return 0;
    }
    coding_wishes(&r->in.h, &w);
    for (int i = 0; i < rules->noffered; i++) {
        if (always || coding_choose(&w, &rules->offered[i], 1, false) == rules->offered[i]) {
            out[n++] = rules->offered[i];
        }
    }
    return n;
}

int filter_packed_vary(req *r)
{
    bool varies = r->route->c->compress_vary && r->route->c->precompressed == CONF_PRECOMPRESSED_ON;
    return varies ? filter_vary(r, STR("Accept-Encoding")) : 0;
}

/* -- compress */

int filter_vary(req *r, str name)
{
    headers *h = &r->res.h;
    field *f = headers_may_have(h, TOKEN_VARY) ? headers_find(h, TOKEN_VARY) : NULL;
    if (!f) {
        return headers_add_token(h, TOKEN_VARY, name);
    }
    if (!headers_lists(h, TOKEN_VARY, name) && !headers_lists(h, TOKEN_VARY, STR("*"))) {
        const str parts[3] = {f->value, STR(", "), name};
        f->value = pool_join(&r->pool, parts, 3);
    }
    return 0;
}

static bool wants(const route *rt)
{
    return rt->c->compress != CONF_COMPRESS_OFF && rt->compress->noffered;
}

static int head(req *r)
{
    if (!response_fits(r)) {
        return 0;
    }
    int rc = r->route->c->compress_vary ? filter_vary(r, STR("Accept-Encoding")) : 0;
    enum coding coding = choose(r);
    if (rc < 0 || coding == CODING_IDENTITY) {
        return rc;
    }
    bool sent = r->in.method != METHOD_HEAD;
    codec *c = sent ? codec_new(coding, (int)r->route->c->compress_level, length_of(r)) : NULL;
    if (sent && !c) {
        return 0; /* out of memory: as it is */
    }
    r->packs = sent ? transcode_new(r, c) : NULL;
    rc = headers_set(&r->res.h, STR("Content-Encoding"), coding_name(coding));
    filter_new_body(r);
    return rc < 0 ? rc : sent;
}

static sink *body(req *r, sink *next)
{
    return transcode_sink(r->packs, next);
}

const struct filter filter_compress = {.name = "compress", .wants = wants, .head = head, .body = body};

/* -- gunzip */

static bool gunzip_wants(const route *rt)
{
    return rt->c->gunzip;
}

static int gunzip_head(req *r)
{
    if (!has_body(r) || !str_ieq(value_of(&r->res.h, TOKEN_CONTENT_ENCODING), STR("gzip"))) {
        return 0;
    }
    int rc = r->route->c->compress_vary ? filter_vary(r, STR("Accept-Encoding")) : 0;
    if (rc < 0 || filter_gzip_is_ok(r)) {
        return rc;
    }
    bool sent = r->in.method != METHOD_HEAD;
    codec *c = sent ? codec_new_gunzip() : NULL;
    if (sent && !c) {
        return ERR_MEM;
    }
    r->unpacks = sent ? transcode_new(r, c) : NULL;
    headers_remove_token(&r->res.h, TOKEN_CONTENT_ENCODING);
    filter_new_body(r);
    return sent;
}

static sink *gunzip_body(req *r, sink *next)
{
    return transcode_sink(r->unpacks, next);
}

const struct filter filter_gunzip = {.name = "gunzip", .wants = gunzip_wants, .head = gunzip_head, .body = gunzip_body};

str var_get_gzip_ratio(req *r, str arg)
{
    (void)arg;
    uint64_t ratio = r->packs ? transcode_ratio(r->packs) : 0;
    return ratio ? pool_printf(&r->pool, "%u.%02u", (unsigned)(ratio / 100), (unsigned)(ratio % 100)) : VAR_ABSENT;
}
