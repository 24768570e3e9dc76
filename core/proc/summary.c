/* summary.c — facts are lines "key = value"; lists repeat the key, with fields that end in NUL (so
 * that a field is a C string in place). */
#include "proc/summary.h"

#include "base/err.h"
#include "tls/ctx.h"

#include <sched.h>
#include <stdio.h>

static void summary_put(bundle_draft *d, const char *key, str value)
{
    if (value.p) {
        bundle_add(d, BUNDLE_FACT, str_c(key), value);
    }
}

static void summary_put_number(bundle_draft *d, const char *key, int64_t v)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld", (long long)v);
    bundle_add(d, BUNDLE_FACT, str_c(key), str_of(text, (size_t)n));
}

static void summary_put_cert(bundle_draft *d, str site, const struct conf_cert *cert)
{
    char err[256], text[4096];
    int64_t not_after = 0;
    struct tls_cert_args args = {.cert_pem = cert->cert_pem, .key_pem = cert->key_pem, .cert_name = cert->cert_file.p,
                                 .key_name = cert->key_file.p};
    if (tls_cert_check(&args, err, sizeof err, &not_after) < 0) {
        not_after = 0; /* plan_new reports it; the summary does not judge */
    }
    int n = snprintf(text, sizeof text, "%.*s%c%.*s%c%.*s%c%lld", STR_ARG(site), 0,
                     STR_ARG(cert->cert_file), 0, STR_ARG(cert->key_file), 0, (long long)not_after);
    if (n > 0 && n < (int)sizeof text) {
        bundle_add(d, BUNDLE_FACT, STR("cert"), str_of(text, (size_t)n));
    }
}

static void summary_put_errlog(bundle_draft *d, str path, int64_t level, bool own)
{
    char text[4200];
    int n = snprintf(text, sizeof text, "%.*s%c%lld%c%d", STR_ARG(path), 0, (long long)level, 0, own);
    if (n > 0 && n < (int)sizeof text) {
        bundle_add(d, BUNDLE_FACT, STR("errlog"), str_of(text, (size_t)n));
    }
}

static void summary_put_errlogs(bundle_draft *d, const struct conf_gateway *g)
{
    for (int i = 0; i < g->own_error_logs.n; i++) {
        const struct conf_errlog *e = &g->error_logs.v[g->own_error_logs.v[i]];
        summary_put_errlog(d, e->path, e->level, true);
    }
    if (g->own_error_logs.n == 0 && g->error_log.n) {
        summary_put_errlog(d, g->error_log, g->error_level, true);
    }
    for (int i = 0; i < g->error_logs.n; i++) {
        summary_put_errlog(d, g->error_logs.v[i].path, g->error_logs.v[i].level, false);
    }
}

static void summary_put_lists(bundle_draft *d, const struct conf_gateway *g)
{
    char text[1024];
    for (int i = 0; i < g->listens.n; i++) {
        const struct conf_listen *l = &g->listens.v[i];
        if (l->under >= 0) {
            continue; /* it has no socket */
        }
        int n = snprintf(text, sizeof text, "%.*s%c%d%c%lld", STR_ARG(l->address), 0, l->v6only, 0,
                         (long long)l->backlog);
        bundle_add(d, BUNDLE_FACT, STR("listen"), str_of(text, (size_t)n));
    }
    for (int i = 0; i < g->dicts.n; i++) {
        int n = snprintf(text, sizeof text, "%.*s%c%lld", STR_ARG(g->dicts.v[i].name), 0,
                         (long long)g->dicts.v[i].size);
        bundle_add(d, BUNDLE_FACT, STR("dict"), str_of(text, (size_t)n));
    }
    for (int i = 0; i < g->zones.n; i++) {
        const struct conf_zone *z = &g->zones.v[i];
        int n = snprintf(text, sizeof text, "%.*s%c%lld%c%d", STR_ARG(z->name), 0,
                         (long long)z->size, 0, z->kind);
        bundle_add(d, BUNDLE_FACT, STR("zone"), str_of(text, (size_t)n));
    }
    for (int i = 0; i < g->logs.n; i++) {
        summary_put(d, g->logs.v[i].optional ? "optional_log" : "access_log", g->logs.v[i].path);
    }
    for (int i = 0; i < g->sources.n; i++) {
        summary_put(d, "source", g->sources.v[i]);
    }
    for (int i = 0; i < g->sites.n; i++) {
        const struct conf_site *s = &g->sites.v[i];
        for (int k = 0; k < s->certs.n && s->certs.v[k].cert_pem.n; k++) { /* those of handshakes are not known yet */
            summary_put_cert(d, s->names.n ? s->names.v[0] : s->label, &s->certs.v[k]);
        }
    }
}

static void summary_put_servers(bundle_draft *d, const struct conf_upstream *u)
{
    char text[1024];
    for (int i = 0; i < u->peers.n; i++) {
        const struct conf_peer *p = &u->peers.v[i];
        str label = p->label.n ? p->label : STR_EMPTY;
        int n = snprintf(text, sizeof text, "%.*s%c%.*s%c%.*s%c%lld%c%d", STR_ARG(u->name), 0, STR_ARG(p->address), 0, STR_ARG(label), 0,
                         (long long)p->weight, 0, p->down);
        if (n > 0 && n < (int)sizeof text) {
            bundle_add(d, BUNDLE_FACT, STR("server"), str_of(text, (size_t)n));
        }
    }
}

void summary_record(bundle_draft *d, const conf *c)
{
    const struct conf_gateway *g = &c->g;
    summary_put_number(d, "workers", g->workers);
    summary_put_number(d, "shutdown_timeout", g->shutdown_timeout);
    summary_put_number(d, "watchdog", g->watchdog);
    summary_put_number(d, "probation", g->probation);
    summary_put_number(d, "error_level", g->error_level);
    summary_put_number(d, "generation_timeout", g->generation_timeout);
    summary_put_number(d, "ticket_rotation", g->ticket_rotation);
    summary_put_number(d, "watch", g->watch);
    summary_put_number(d, "manners", g->manners);
    summary_put_number(d, "daemon", g->daemon);
    summary_put(d, "user", g->user);
    summary_put(d, "group", g->group);
    summary_put(d, "pid", g->pid);
    summary_put(d, "admin_socket", g->admin_socket);
    summary_put(d, "resolver", g->resolver);
    summary_put(d, "upstream_state", g->upstream_state);
    summary_put_errlogs(d, g);
    summary_put_lists(d, g);
    for (int i = 0; i < g->upstreams.n; i++) {
        summary_put(d, "upstream", g->upstreams.v[i].name);
        summary_put_servers(d, &g->upstreams.v[i]);
    }
}

void summary_record_policy(bundle_draft *d, str name, str hash)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%.*s%c%.*s", STR_ARG(name), 0, STR_ARG(hash));
    if (n > 0 && n < (int)sizeof text) {
        bundle_add(d, BUNDLE_FACT, STR("policy"), str_of(text, (size_t)n));
    }
}

static int64_t summary_cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

/* The next field, NUL-terminated. */
static str summary_field(str *rest)
{
    size_t at = str_find(*rest, 0, 0);
    str field = str_of(rest->p, at);
    *rest = str_from(*rest, at < rest->n ? at + 1 : rest->n);
    return field;
}

static int64_t summary_number(str text)
{
    int64_t v = 0;
    return str_to_i64(text, &v) < 0 ? -1 : v;
}

/* One line of a list. */
static void summary_read_list(summary *s, str key, str value)
{
    str rest = value;
    if (str_eq(key, STR("listen"))) {
        vec_push(&s->addresses, summary_field(&rest));
        bool v6only = summary_number(summary_field(&rest)) != 0;
        struct port_wish wish = {(int)summary_number(rest), v6only};
        vec_push(&s->wishes, wish);
    } else if (str_eq(key, STR("dict"))) {
        summary_dict one = {summary_field(&rest), 0};
        one.size = summary_number(rest);
        vec_push(&s->dicts, one);
    } else if (str_eq(key, STR("zone"))) {
        summary_zone one = {.name = summary_field(&rest)};
        one.size = summary_number(summary_field(&rest));
        one.kind = summary_number(rest);
        vec_push(&s->zones, one);
    } else if (str_eq(key, STR("access_log"))) {
        vec_push(&s->access_logs, value);
    } else if (str_eq(key, STR("optional_log"))) {
        vec_push(&s->optional_logs, value);
    } else if (str_eq(key, STR("source"))) {
        vec_push(&s->sources, value);
    } else if (str_eq(key, STR("errlog"))) {
        summary_errlog one = {.path = summary_field(&rest)};
        one.level = summary_number(summary_field(&rest));
        one.own = summary_number(rest) == 1;
        vec_push(&s->error_logs, one);
    } else if (str_eq(key, STR("cert"))) {
        summary_cert one = {.site = summary_field(&rest)};
        one.cert_file = summary_field(&rest);
        one.key_file = summary_field(&rest);
        one.not_after_s = summary_number(rest);
        vec_push(&s->certs, one);
    } else if (str_eq(key, STR("upstream"))) {
        vec_push(&s->upstreams, value);
    } else if (str_eq(key, STR("server"))) {
        summary_server one = {.upstream = summary_field(&rest)};
        one.address = summary_field(&rest);
        one.label = summary_field(&rest);
        one.weight = summary_number(summary_field(&rest));
        one.down = summary_number(rest) == 1;
        vec_push(&s->servers, one);
    } else if (str_eq(key, STR("policy"))) {
        summary_policy one = {.name = summary_field(&rest)};
        one.hash = rest;
        vec_push(&s->policies, one);
    }
}

int summary_read(const bundle *b, summary *out)
{
    *out = (summary){.workers = -1};
    int64_t watch = 0, manners = 0, background = 0;
    const struct {
        const char *key;
        int64_t *to;
    } numbers[] = {{"workers", &out->workers},         {"shutdown_timeout", &out->shutdown_ms},
                   {"watchdog", &out->watchdog_ms},    {"probation", &out->probation_ms},
                   {"error_level", &out->error_level}, {"watch", &watch},
                   {"manners", &manners},              {"daemon", &background},
                   {"generation_timeout", &out->generation_ms},
                   {"ticket_rotation", &out->ticket_ms}};
    const struct {
        const char *key;
        str *to;
    } texts[] = {{"user", &out->user},
                 {"group", &out->group},
                 {"pid", &out->pid},
                 {"admin_socket", &out->admin_socket},
                 {"resolver", &out->resolver},
                 {"upstream_state", &out->upstream_state}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        str value;
        if (!bundle_find(b, BUNDLE_FACT, str_c(numbers[i].key), &value) ||
            str_to_i64(value, numbers[i].to) < 0) {
            return ERR_CONF;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i].to = STR_EMPTY;
        (void)bundle_find(b, BUNDLE_FACT, str_c(texts[i].key), texts[i].to);
    }
    out->watch = watch != 0;
    out->nginx = manners == CONF_MANNERS_NGINX;
    out->daemon = background != 0;
    out->workers = out->workers > 0 ? out->workers : summary_cpus();
    enum bundle_kind kind;
    str key, value;
    for (size_t at = 0; bundle_next(b, &at, &kind, &key, &value);) {
        if (kind == BUNDLE_FACT) {
            summary_read_list(out, key, value);
        }
    }
    return 0;
}

void summary_fini(summary *s)
{
    vec_fini(&s->addresses);
    vec_fini(&s->wishes);
    vec_fini(&s->dicts);
    vec_fini(&s->zones);
    vec_fini(&s->certs);
    vec_fini(&s->policies);
    vec_fini(&s->access_logs);
    vec_fini(&s->optional_logs);
    vec_fini(&s->error_logs);
    vec_fini(&s->sources);
    vec_fini(&s->upstreams);
    vec_fini(&s->servers);
}
