/* upstreams_view.c — the pages of `moongate upstream list`; declared in upstreams.h. */
#include "proc/json.h"
#include "proc/master.h"
#include "proc/status_model.h"
#include "proc/upstreams.h"

#include <stdlib.h>

/* Calls fn for each upstream that is asked for, in the order of the configuration. False: there is none. */
static bool each(const struct master *m, str only, void (*fn)(void *arg, str name), void *arg)
{
    bool any = false;
    for (uint32_t i = 0; i < m->sum.upstreams.n; i++) {
        if (!only.n || str_eq(only, m->sum.upstreams.v[i])) {
            fn(arg, m->sum.upstreams.v[i]);
            any = true;
        }
    }
    return any || !only.n;
}

struct view {
    FILE *f;
    json *j;
    const status *s;
    const struct master *m;
};

static void text_of_peer(const struct view *v, const struct status_peer *p)
{
    bool named = p->server.n && !str_eq(p->server, p->address);
    fprintf(v->f, "%-20.*s %-28.*s %-8.*s %6lld %-11.*s %9lld %6lld %9lld %9lld", STR_ARG(p->group), STR_ARG(p->address.n > 1 ? p->address : p->server),
            STR_ARG(p->tier), (long long)p->weight, STR_ARG(p->state), (long long)p->in_flight, (long long)p->idle, (long long)p->attempts,
            (long long)p->failures);
    if (named) {
        fprintf(v->f, "  %.*s", STR_ARG(p->server));
    }
    fputs(p->added ? "  added" : "", v->f);
    fputc('\n', v->f);
}

static void text_of_upstream(void *arg, str name)
{
    const struct view *v = arg;
    bool any = false;
    for (uint32_t i = 0; i < v->s->peers.n; i++) {
        if (str_eq(v->s->peers.v[i].group, name)) {
            text_of_peer(v, &v->s->peers.v[i]);
            any = true;
        }
    }
    if (!any) {
        fprintf(v->f, "%-20.*s -\n", STR_ARG(name));
    }
}

char *upstreams_text(const status *s, const struct master *m, str only, size_t *n)
{
    char *text = NULL;
    struct view v = {.f = open_memstream(&text, n), .s = s, .m = m};
    if (!v.f) {
        return NULL;
    }
    fprintf(v.f, "%-20s %-28s %-8s %6s %-11s %9s %6s %9s %9s\n", "UPSTREAM", "SERVER", "TIER", "WEIGHT", "STATE", "IN FLIGHT", "IDLE", "ATTEMPTS",
            "FAILURES");
    bool found = each(m, only, text_of_upstream, &v);
    if (m->upstreams.all.all.n) {
        fprintf(v.f, "%u changed, kept in %s\n", m->upstreams.all.all.n, m->upstreams.path);
    }
    fclose(v.f);
    if (!found) {
        free(text);
        return NULL;
    }
    return text;
}

static void json_of_upstream(void *arg, str name)
{
    const struct view *v = arg;
    json_open(v->j, NULL, '{');
    json_str(v->j, "name", name);
    json_open(v->j, "peers", '[');
    for (uint32_t i = 0; i < v->s->peers.n; i++) {
        if (str_eq(v->s->peers.v[i].group, name)) {
            status_json_peer(v->j, &v->s->peers.v[i]);
        }
    }
    json_close(v->j, ']');
    json_close(v->j, '}');
}

static void json_of_changes(json *j, const changes *c)
{
    json_open(j, "changes", '[');
    for (uint32_t i = 0; i < c->all.n; i++) {
        const change *one = &c->all.v[i];
        json_open(j, NULL, '{');
        json_str(j, "upstream", str_c(one->upstream));
        json_str(j, "server", str_c(one->server));
        json_bool(j, "added", one->added);
        if (one->state != CHANGE_NONE) {
            json_str(j, "state", str_c(change_state_name(one->state)));
        }
        if (one->weight) {
            json_int(j, "weight", one->weight);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}

char *upstreams_json(const status *s, const struct master *m, str only, size_t *n)
{
    char *text = NULL;
    json j = {open_memstream(&text, n), false};
    struct view v = {.j = &j, .s = s, .m = m};
    if (!j.f) {
        return NULL;
    }
    json_open(&j, NULL, '{');
    json_open(&j, "upstreams", '[');
    bool found = each(m, only, json_of_upstream, &v);
    json_close(&j, ']');
    json_of_changes(&j, &m->upstreams.all);
    json_str(&j, "state_file", str_c(m->upstreams.path));
    json_close(&j, '}');
    fputc('\n', j.f);
    fclose(j.f);
    if (!found) {
        free(text);
        return NULL;
    }
    return text;
}
