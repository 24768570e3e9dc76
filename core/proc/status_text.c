/* status_text.c — the status page for people. */
#include "base/clock.h"
#include "proc/master.h"
#include "proc/status_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void status_text_head(FILE *f, const master *m)
{
    fprintf(f, "moongate %s  pid %ld  %s  up %lld s\n", status_version(), (long)getpid(),
            master_state_name(m->state), (long long)(clock_ms() - m->started_ms) / 1000);
    fprintf(f, "config      %s\n", m->options.shown);
    fprintf(f, "generation  %llu  %.16s", (unsigned long long)m->generation,
            bundle_hash(m->bundle));
    if (m->previous) {
        fprintf(f, "  (previous: %llu)", (unsigned long long)m->previous_number);
    }
    fputc('\n', f);
    if (m->swap.state != SWAP_IDLE) {
        fprintf(f, "reload      %s\n", swap_state_name(m->swap.state));
    } else if (m->swap.last.ticket) {
        fprintf(f, "last reload %s: %s\n", m->swap.last.ok ? "ok" : "failed", m->swap.last.text);
    }
}

static void status_text_processes(FILE *f, const status *s, const master *m)
{
    fprintf(f, "\n%-10s %-6s %-7s %8s %12s %6s\n", "GENERATION", "ROLE", "WORKERS", "PINS",
            "LUA BYTES", "TASKS");
    for (uint32_t i = 0; i < s->generations.n; i++) {
        const struct status_generation *g = &s->generations.v[i];
        fprintf(f, "%-10lld %-8.*s %-5lld %8lld %12lld %6lld\n", (long long)g->number,
                STR_ARG(g->role), (long long)g->workers, (long long)g->pins,
                (long long)g->lua_bytes, (long long)g->tasks);
    }
    fprintf(f, "\n%-8s %-9s %10s %12s %8s %9s %8s\n", "WORKER", "STATE", "GENERATION",
            "CONNECTIONS", "IDLE", "REQUESTS", "TUNNELS");
    LIST_EACH(it, &m->crew.workers)
    {
        const crew_worker *w = list_item(it, crew_worker, node);
        const struct status_worker none = {.pid = 0}, *found = status_find_worker(s, w->pid),
                                   *r = found ? found : &none;
        fprintf(f, "%-8ld %-9s %10llu %12lld %8lld %9lld %8lld%s\n", (long)w->pid,
                status_worker_state(w), (unsigned long long)w->generation,
                (long long)r->connections, (long long)r->idle, (long long)r->requests,
                (long long)r->tunnels, found ? "" : "  (no answer)");
    }
    fprintf(f, "restarts    %llu\n", (unsigned long long)m->crew.restarts);
}

static void status_text_rest(FILE *f, const status *s, const master *m)
{
    fputs("\nLISTENERS\n", f);
    for (uint32_t i = 0; i < m->ports.all.n; i++) {
        fprintf(f, "  %s\n", m->ports.all.v[i]->shown);
    }
    if (s->peers.n) {
        fprintf(f, "\n%-20s %-24s %-8s %-10s %9s %6s %9s %9s\n", "UPSTREAM", "PEER", "TIER",
                "STATE", "IN FLIGHT", "IDLE", "ATTEMPTS", "FAILURES");
    }
    for (uint32_t i = 0; i < s->peers.n; i++) {
        const struct status_peer *p = &s->peers.v[i];
        fprintf(f, "%-20.*s %-24.*s %-8.*s %-10.*s %9lld %6lld %9lld %9lld\n", STR_ARG(p->group),
                STR_ARG(p->address), STR_ARG(p->tier), STR_ARG(p->state), (long long)p->in_flight,
                (long long)p->idle, (long long)p->attempts, (long long)p->failures);
    }
    for (uint32_t i = 0; i < m->sum.certs.n; i++) {
        char until[32];
        status_time(m->sum.certs.v[i].not_after_s, until);
        fprintf(f, "%scertificate  %.*s  %.*s  until %s\n", i ? "" : "\n",
                STR_ARG(m->sum.certs.v[i].site), STR_ARG(m->sum.certs.v[i].cert_file), until);
    }
    for (uint32_t i = 0; i < m->sum.policies.n; i++) {
        fprintf(f, "%spolicy  %-20.*s %.*s\n", i ? "" : "\n", STR_ARG(m->sum.policies.v[i].name),
                STR_ARG(m->sum.policies.v[i].hash));
    }
    for (uint32_t i = 0; i < m->sum.dicts.n; i++) {
        fprintf(f, "%sdict  %-20.*s %lld bytes\n", i ? "" : "\n", STR_ARG(m->sum.dicts.v[i].name),
                (long long)m->sum.dicts.v[i].size);
    }
}

char *status_text(status *s, struct master *m, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    if (!f) {
        return NULL;
    }
    status_text_head(f, m);
    status_text_processes(f, s, m);
    status_text_rest(f, s, m);
    fclose(f);
    return text;
}
