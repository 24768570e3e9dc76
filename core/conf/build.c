/* build.c — field metadata from fields.def, setters, the final check. */
#include "conf/build.h"

#include "base/err.h"

#include <math.h>
#include <stdio.h>

#define CONF_M_BOOL(n, a, d) {#n, CONF_BOOL, CONF_KIND_COUNT, NULL, 0, d, NULL}

/* What each type means for the columns kind, words and def of struct conf_field. */
#define CONF_KIND_OF_BOOL(a) CONF_KIND_COUNT
#define CONF_KIND_OF_INT(a) CONF_KIND_COUNT
#define CONF_KIND_OF_MS(a) CONF_KIND_COUNT
#define CONF_KIND_OF_SIZE(a) CONF_KIND_COUNT
#define CONF_KIND_OF_STR(a) CONF_KIND_COUNT
#define CONF_KIND_OF_TMPL(a) CONF_KIND_COUNT
#define CONF_KIND_OF_ENUM(a) CONF_KIND_COUNT
#define CONF_KIND_OF_STRS(a) CONF_KIND_COUNT
#define CONF_KIND_OF_REF(a) CONF_KIND_##a
#define CONF_KIND_OF_REFS(a) CONF_KIND_##a
#define CONF_KIND_OF_OBJS(a) CONF_KIND_##a
#define CONF_WORDS_OF_BOOL(a) NULL
#define CONF_WORDS_OF_INT(a) NULL
#define CONF_WORDS_OF_MS(a) NULL
#define CONF_WORDS_OF_SIZE(a) NULL
#define CONF_WORDS_OF_STR(a) NULL
#define CONF_WORDS_OF_TMPL(a) NULL
#define CONF_WORDS_OF_ENUM(a) a
#define CONF_WORDS_OF_STRS(a) NULL
#define CONF_WORDS_OF_REF(a) NULL
#define CONF_WORDS_OF_REFS(a) NULL
#define CONF_WORDS_OF_OBJS(a) NULL
#undef CONF_M_BOOL

#define F(kind, TYPE, name, arg, def, doc)                                                         \
    {CONF_KIND_##kind,                                                                             \
     {#name, CONF_##TYPE, CONF_KIND_OF_##TYPE(arg), CONF_WORDS_OF_##TYPE(arg),                     \
      offsetof(struct conf_##kind, name), (int64_t)(def), doc}},

static const struct {
    enum conf_kind owner;
    struct conf_field field;
} all_fields[] = {
#undef NULL
#define NULL 0 /* a string's default is "absent" */
#include "conf/fields.def"
#undef NULL
#define NULL ((void *)0)
};
#undef F

enum { FIELDS_MAX = 256 };

static struct {
    struct conf_field v[FIELDS_MAX];
    int n;
} by_kind[CONF_KIND_COUNT];

static void sort_by_kind(void)
{
    if (by_kind[CONF_KIND_gateway].n) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
        enum conf_kind k = all_fields[i].owner;
        by_kind[k].v[by_kind[k].n++] = all_fields[i].field;
    }
}

const struct conf_field *conf_fields(enum conf_kind kind, int *n)
{
    sort_by_kind();
    *n = by_kind[kind].n;
    return by_kind[kind].v;
}

const char *conf_kind_name(enum conf_kind kind)
{
    static const char *const names[] = {
#define X(kind_name) #kind_name,
        CONF_OBJECTS(X)
#undef X
    };
    return kind < CONF_KIND_COUNT ? names[kind] : "none";
}

int conf_kind_find(str name)
{
    for (int k = 0; k < CONF_KIND_COUNT; k++) {
        if (str_eq(name, str_c(conf_kind_name((enum conf_kind)k)))) {
            return k;
        }
    }
    return -1;
}

size_t conf_kind_size(enum conf_kind kind)
{
    static const size_t sizes[] = {
#define X(kind_name) sizeof(struct conf_##kind_name),
        CONF_OBJECTS(X)
#undef X
    };
    return sizes[kind];
}

const struct conf_field *conf_field_find(enum conf_kind kind, str name)
{
    int n;
    const struct conf_field *f = conf_fields(kind, &n);
    for (int i = 0; i < n; i++) {
        if (str_eq(name, str_c(f[i].name))) {
            return &f[i];
        }
    }
    return NULL;
}

static void *at(const struct conf_field *f, void *obj)
{
    return (char *)obj + f->offset;
}

void conf_defaults(enum conf_kind kind, void *obj)
{
    int n;
    const struct conf_field *f = conf_fields(kind, &n);
    memset(obj, 0, conf_kind_size(kind));
    for (int i = 0; i < n; i++) {
        switch (f[i].type) {
        case CONF_BOOL:
            *(bool *)at(&f[i], obj) = f[i].def != 0;
            break;
        case CONF_INT:
        case CONF_MS:
        case CONF_SIZE:
            *(int64_t *)at(&f[i], obj) = f[i].def;
            break;
        case CONF_ENUM:
        case CONF_REF:
            *(int *)at(&f[i], obj) = (int)f[i].def;
            break;
        case CONF_STR:
        case CONF_TMPL:
        case CONF_STRS:
        case CONF_REFS:
        case CONF_OBJS:
            break;
        }
    }
}

/* Numbers that the core may add, multiply and narrow to 32 bits without another look. -1 stands for "not said". */
static bool fits(enum conf_type type, double v)
{
    if (type == CONF_MS) {
        return v >= -1 && v <= 10.0 * 365 * 86400 * 1000;
    }
    return type == CONF_SIZE ? v >= 0 : type != CONF_INT || fabs(v) <= INT32_MAX;
}

int conf_set_number(const struct conf_field *f, void *obj, double v)
{
    if (isnan(v) || v != floor(v) || fabs(v) > 9e15 || !fits(f->type, v)) {
        return ERR_INVALID;
    }
    if (f->type == CONF_INT || f->type == CONF_MS || f->type == CONF_SIZE) {
        *(int64_t *)at(f, obj) = (int64_t)v;
        return 0;
    }
    if (f->type == CONF_REF && v >= -1 && v < 1e6) {
        *(int *)at(f, obj) = (int)v;
        return 0;
    }
    return ERR_INVALID;
}

int conf_set_bool(const struct conf_field *f, void *obj, bool v)
{
    if (f->type != CONF_BOOL) {
        return ERR_INVALID;
    }
    *(bool *)at(f, obj) = v;
    return 0;
}

static int word_index(const char *words, str v)
{
    str rest = str_c(words), word;
    for (int i = 0; str_split(&rest, '|', &word); i++) {
        if (str_eq(word, v)) {
            return i;
        }
    }
    return -1;
}

int conf_set_str(conf *c, const struct conf_field *f, void *obj, str v)
{
    if (f->type == CONF_STR || f->type == CONF_TMPL) {
        *(str *)at(f, obj) = pool_dup(&c->pool, v);
        return 0;
    }
    int i = f->type == CONF_ENUM ? word_index(f->words, v) : -1;
    if (i < 0) {
        return ERR_INVALID;
    }
    *(int *)at(f, obj) = i;
    return 0;
}

void *conf_set_array(conf *c, const struct conf_field *f, void *obj, int n)
{
    size_t size = f->type == CONF_STRS ? sizeof(str) : f->type == CONF_REFS ? sizeof(int) : conf_kind_size(f->kind);
    char *v = pool_zalloc(&c->pool, size * (size_t)(n ? n : 1));
    for (int i = 0; f->type == CONF_OBJS && i < n; i++) {
        conf_defaults(f->kind, v + size * (size_t)i);
    }
    /* conf_strs, conf_ints and conf_<kind>s share one shape: pointer, count */
    struct conf_ints *array = at(f, obj);
    memcpy(&array->v, &v, sizeof v);
    array->n = n;
    return v;
}

/* A bound of something a peer makes us hold or wait for. */
struct bound {
    const char *name;
    int64_t v, lo, hi;
};

enum { HEAD_MIN = 256, HEAD_MOST = 16 << 20, FIELDS_MOST = 4096 };

static int check_bounds(const struct bound *b, size_t n, char *err, size_t cap, const char *where)
{
    for (size_t i = 0; i < n; i++) {
        if (b[i].v < b[i].lo || b[i].v > b[i].hi) {
            snprintf(err, cap, "%s.%s: %lld is not between %lld and %lld", where, b[i].name, (long long)b[i].v,
                     (long long)b[i].lo, (long long)b[i].hi);
            return ERR_CONF;
        }
    }
    return 0;
}

static int check_guard(const conf *c, const struct conf_guard *g, char *err, size_t cap, const char *where)
{
    for (int i = 0; i < g->limits.n; i++) {
        const struct conf_limit *l = &g->limits.v[i];
        bool known = l->zone >= 0 && l->zone < c->g.zones.n;
        if (!known || c->g.zones.v[l->zone].kind != l->kind || !l->key.p) {
            snprintf(err, cap, "%s.guard: limits[%d]: no zone of that kind, or no key", where, i);
            return ERR_CONF;
        }
        const struct bound bounds[] = {
            {"guard.limits.rate", l->rate, 1, INT32_MAX},   {"guard.limits.burst", l->burst, 0, INT32_MAX},
            {"guard.limits.delay", l->delay, -1, INT32_MAX}, {"guard.limits.most", l->most, 1, 65535},
            {"guard.limits.status", l->status, 400, 599},
        };
        int rc = check_bounds(bounds, ARRAY_LEN(bounds), err, cap, where);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static bool refs_fit(const struct conf_ints *refs, int n)
{
    for (int i = 0; i < refs->n; i++) {
        if (refs->v[i] < 0 || refs->v[i] >= n) {
            return false;
        }
    }
    return true;
}

static int check_route(const conf *c, const struct conf_route *r, char *err, size_t cap, const char *where)
{
    const struct bound bounds[] = {
        {"connect_timeout", r->connect_timeout, 1, INT64_MAX},
        {"send_timeout", r->send_timeout, 1, INT64_MAX},
        {"read_timeout", r->read_timeout, 1, INT64_MAX},
        {"body_timeout", r->body_timeout, 1, INT64_MAX},
        {"client_send_timeout", r->client_send_timeout, 1, INT64_MAX},
        {"tunnel_idle", r->tunnel_idle, 1, INT64_MAX},
        {"buffer_head", r->buffer_head, HEAD_MIN, HEAD_MOST},
    };
    int rc = check_bounds(bounds, ARRAY_LEN(bounds), err, cap, where);
    if (rc < 0) {
        return rc;
    }
    if (r->action == CONF_ACTION_PROXY && (r->upstream < 0 || r->upstream >= c->g.upstreams.n)) {
        snprintf(err, cap, "%s: no such upstream", where);
        return ERR_CONF;
    }
    if (r->guard.n > 1) {
        snprintf(err, cap, "%s.guard: one at most", where);
        return ERR_CONF;
    }
    if (r->guard.n && (rc = check_guard(c, &r->guard.v[0], err, cap, where)) < 0) {
        return rc;
    }
    if (r->resolver >= c->g.resolvers.n) {
        snprintf(err, cap, "%s: no such resolver", where);
        return ERR_CONF;
    }
    if (!refs_fit(&r->access_logs, c->g.logs.n) || !refs_fit(&r->error_logs, c->g.error_logs.n)) {
        snprintf(err, cap, "%s: no such log", where);
        return ERR_CONF;
    }
    if (r->mime >= c->g.mimes.n) {
        snprintf(err, cap, "%s: no such table of media types", where);
        return ERR_CONF;
    }
    if (!r->pattern.p) {
        snprintf(err, cap, "%s: no pattern", where);
        return ERR_CONF;
    }
    return 0;
}

static int check_listen(const conf *c, const struct conf_listen *l, int i, char *err, size_t cap)
{
    if (!l->address.n) {
        snprintf(err, cap, "listens[%d]: no address", i);
        return ERR_CONF;
    }
    char where[64];
    snprintf(where, sizeof where, "listens[%d]", i);
    const struct bound bounds[] = {
        {"header_timeout", l->header_timeout, 1, INT64_MAX},
        {"head_size", l->head_size, HEAD_MIN, HEAD_MOST},
        {"target_size", l->target_size, 1, HEAD_MOST},
        {"head_fields", l->head_fields, 1, FIELDS_MOST},
    };
    int rc = check_bounds(bounds, ARRAY_LEN(bounds), err, cap, where);
    if (rc < 0) {
        return rc;
    }
    for (int k = 0; k < l->sites.n; k++) {
        if (l->sites.v[k] < 0 || l->sites.v[k] >= c->g.sites.n) {
            snprintf(err, cap, "listens[%d].sites: no such site", i);
            return ERR_CONF;
        }
    }
    if (l->under >= c->g.listens.n) {
        snprintf(err, cap, "listens[%d].under: no such listener", i);
        return ERR_CONF;
    }
    if (l->default_site >= c->g.sites.n) {
        snprintf(err, cap, "listens[%d].default_site: no such site", i);
        return ERR_CONF;
    }
    return 0;
}

static int check_upstream(const conf *c, const struct conf_upstream *u, char *err, size_t cap)
{
    if (u->resolver >= c->g.resolvers.n) {
        snprintf(err, cap, "upstream %.*s: no such resolver", STR_ARG(u->name));
        return ERR_CONF;
    }
    return 0;
}

int conf_freeze(conf *c, char *err, size_t errcap)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < c->g.upstreams.n; i++) {
        rc = check_upstream(c, &c->g.upstreams.v[i], err, errcap);
    }
    for (int i = 0; rc == 0 && i < c->g.listens.n; i++) {
        rc = check_listen(c, &c->g.listens.v[i], i, err, errcap);
    }
    for (int i = 0; i < c->g.sites.n; i++) {
        const struct conf_site *s = &c->g.sites.v[i];
        for (int k = 0; rc == 0 && k < s->routes.n; k++) {
            char where[64];
            snprintf(where, sizeof where, "sites[%d].routes[%d]", i, k);
            rc = check_route(c, &s->routes.v[k], err, errcap, where);
        }
    }
    return rc;
}
