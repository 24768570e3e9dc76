/* probe_spec.c — what checks ask for and expect; declared in probe.h. */
#include "back/probe.h"

#include "back/retry.h"
#include "base/check.h"
#include "base/err.h"
#include "base/regex.h"
#include "base/slice.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_MAX = 8192 };

static char *copy(str s)
{
    char *z = strndup(s.n ? s.p : "", s.n);
    REQUIRE(z != NULL);
    return z;
}

static bool is_pattern(const struct conf_upstream *c)
{
    return str_has_prefix(c->check_body, STR("~"));
}

static regex *compile(const struct conf_upstream *c, char *err, size_t cap)
{
    size_t at;
    return regex_new(str_trim(str_from(c->check_body, 1)), 0, err, cap, &at);
}

int probe_check(const struct conf_upstream *c, char *err, size_t cap)
{
    char why[200];
    if (c->check == CONF_CHECK_OFF || !is_pattern(c)) {
        return 0;
    }
    regex *re = compile(c, why, sizeof why);
    if (!re) {
        snprintf(err, cap, "upstream %.*s: health: body: %s", STR_ARG(c->name), why);
        return ERR_CONF;
    }
    regex_free(re);
    return 0;
}

void probe_spec_fini(struct probe_spec *ps)
{
    free(ps->line);
    free(ps->host);
    free(ps->service);
    free(ps->fields);
    free(ps->text);
    regex_free(ps->pattern);
    for (int i = 0; i < ps->statuses.n; i++) {
        free((void *)(uintptr_t)ps->statuses.v[i].p);
    }
    free(ps->statuses.v);
    free((void *)(uintptr_t)ps->tls_name.p);
}

static char *fields_of(const struct conf_upstream *c)
{
    char text[REQUEST_MAX];
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; i < c->check_headers.n && n < sizeof text; i++) {
        str one = c->check_headers.v[i];
        int more = snprintf(text + n, sizeof text - n, "%.*s\r\n", STR_ARG(one));
        n += more > 0 ? (size_t)more : 0;
    }
    return copy(str_c(text));
}

static void set_texts(struct probe_spec *ps, const struct conf_upstream *c)
{
    char line[REQUEST_MAX];
    bool grpc = ps->kind == CONF_CHECK_GRPC;
    str method = grpc ? STR("POST") : c->check_method.n ? c->check_method : STR("GET");
    str path = grpc ? STR("/grpc.health.v1.Health/Check") : c->check_path.n ? c->check_path : STR("/");
    snprintf(line, sizeof line, "%.*s %.*s HTTP/1.1\r\n", STR_ARG(method), STR_ARG(path));
    ps->line = copy(str_c(line));
    ps->service = copy(c->check_service.n ? c->check_service : STR_EMPTY);
    ps->host = c->check_host.n ? copy(c->check_host) : NULL;
    ps->fields = fields_of(c);
    ps->text = NULL;
    ps->pattern = NULL;
    if (c->check_body.n && is_pattern(c)) {
        char why[200];
        ps->pattern = compile(c, why, sizeof why); /* probe_check has seen it */
    } else if (c->check_body.n) {
        ps->text = copy(c->check_body);
    }
    ps->statuses.n = c->check_status.n;
    ps->statuses.v = calloc((size_t)c->check_status.n + 1, sizeof *ps->statuses.v);
    REQUIRE(ps->statuses.v != NULL);
    for (int i = 0; i < c->check_status.n; i++) {
        ps->statuses.v[i] = str_c(copy(c->check_status.v[i]));
    }
    bool fixed = c->tls_name.n && str_find(c->tls_name, '$', 0) == c->tls_name.n;
    ps->tls_name = str_c(copy(fixed ? c->tls_name : c->check_host));
}

void probe_spec_init(struct probe_spec *ps, const struct conf_upstream *c)
{
    ps->kind = (enum conf_check)c->check;
    ps->every = c->check_every > 10 ? c->check_every : 10;
    ps->timeout = c->check_timeout > 1 ? c->check_timeout : 1;
    ps->jitter = c->check_jitter < 0 ? 0 : c->check_jitter > 100 ? 100 : c->check_jitter;
    ps->rise = c->check_rise > 1 ? (uint32_t)c->check_rise : 1;
    ps->fall = c->check_fall > 1 ? (uint32_t)c->check_fall : 1;
    ps->port = (uint16_t)c->check_port;
    ps->h2 = ps->kind == CONF_CHECK_GRPC || (c->http2 && !ps->port); /* another port may speak anything */
    set_texts(ps, c);
}

str probe_spec_head(const struct probe_spec *ps, str host, pool *p)
{
    static const char format[] = "%sHost: %.*s\r\nUser-Agent: moongate-health\r\n%s%s\r\n";
    char own[96] = "Connection: close\r\n";
    if (ps->kind == CONF_CHECK_GRPC) {
        snprintf(own, sizeof own, "Content-Type: application/grpc\r\ngrpc-timeout: %dm\r\n", ps->timeout < 99999999 ? (int)ps->timeout : 99999999);
    }
    int n = snprintf(NULL, 0, format, ps->line, STR_ARG(host), own, ps->fields);
    char *text = pool_alloc(p, (size_t)n + 1);
    snprintf(text, (size_t)n + 1, format, ps->line, STR_ARG(host), own, ps->fields);
    return str_of(text, (size_t)n);
}

bool probe_spec_takes_status(const struct probe_spec *ps, int status)
{
    return ps->statuses.n ? retry_status_listed(&ps->statuses, status) : status < 400;
}

bool probe_spec_wants_body(const struct probe_spec *ps)
{
    return ps->text || ps->pattern || ps->kind == CONF_CHECK_GRPC;
}

bool probe_spec_takes_body(const struct probe_spec *ps, const bufq *q, pool *p)
{
    if (!probe_spec_wants_body(ps)) {
        return true;
    }
    char *bytes = pool_alloc(p, PROBE_BODY_MAX);
    str body = str_of(bytes, bufq_peek(q, bytes, PROBE_BODY_MAX));
    if (ps->pattern) {
        return regex_exec(ps->pattern, body, 0, NULL) == 1;
    }
    return memmem(body.p, body.n, ps->text, strlen(ps->text)) != NULL;
}
