/* status_json.c — the status page as JSON; the keys are described in docs/processes.md. */
#include "base/clock.h"
#include "proc/json.h"
#include "proc/master.h"
#include "proc/status_model.h"
#include "shm/dict.h"
#include "shm/seg.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void status_json_generations(json *j, const status *s)
{
    json_open(j, "generations", '[');
    for (uint32_t i = 0; i < s->generations.n; i++) {
        const struct status_generation *g = &s->generations.v[i];
        json_open(j, NULL, '{');
        json_int(j, "number", g->number);
        json_str(j, "role", g->role);
        json_int(j, "workers", g->workers);
        json_int(j, "pins", g->pins);
        json_int(j, "refs", g->refs);
        json_int(j, "lua_bytes", g->lua_bytes);
        json_int(j, "tasks", g->tasks);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void status_json_workers(json *j, const status *s, master *m)
{
    json_open(j, "workers", '[');
    LIST_EACH(it, &m->crew.workers)
    {
        const crew_worker *w = list_item(it, crew_worker, node);
        const board_slot *slot = board_slot_at(m->shared.board, w->slot);
        const struct status_worker *r = status_find_worker(s, w->pid);
        json_open(j, NULL, '{');
        json_int(j, "pid", w->pid);
        json_int(j, "slot", w->slot);
        json_str(j, "state", str_c(status_worker_state(w)));
        json_int(j, "generation", (int64_t)w->generation);
        json_int(j, "age_ms", clock_ms() - w->born_ms);
        json_int(j, "requests_total", (int64_t)stats_of(m->shared.stats, w->slot, STAT_REQUESTS));
        json_int(j, "connections", r ? r->connections : slot->connections);
        json_bool(j, "answered", r != NULL);
        if (r) {
            json_int(j, "idle", r->idle);
            json_int(j, "requests", r->requests);
            json_int(j, "tunnels", r->tunnels);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void status_json_listeners(json *j, const master *m)
{
    json_open(j, "listeners", '[');
    for (uint32_t i = 0; i < m->sum.addresses.n; i++) {
        char key[256];
        ports_key(m->sum.addresses.v, (int)i, key, sizeof key);
        const port *one = ports_find(&m->ports, key);
        json_open(j, NULL, '{');
        json_str(j, "address", m->sum.addresses.v[i]);
        json_str(j, "actual", str_c(one ? one->shown : ""));
        json_close(j, '}');
    }
    json_close(j, ']');
}

void status_json_peer(json *j, const struct status_peer *p)
{
    json_open(j, NULL, '{');
    json_str(j, "address", p->address);
    json_str(j, "server", p->server);
    json_bool(j, "added", p->added);
    json_str(j, "tier", p->tier);
    json_int(j, "weight", p->weight);
    json_str(j, "state", p->state);
    json_int(j, "in_flight", p->in_flight);
    json_int(j, "idle", p->idle);
    json_int(j, "attempts", p->attempts);
    json_int(j, "failures", p->failures);
    json_close(j, '}');
}

/* Is the group of peer i new, i.e. not that of an earlier one? */
static bool status_json_first_of_group(const status *s, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        if (str_eq(s->peers.v[k].group, s->peers.v[i].group)) {
            return false;
        }
    }
    return true;
}

static void status_json_upstreams(json *j, const status *s)
{
    json_open(j, "upstreams", '[');
    for (uint32_t i = 0; i < s->peers.n; i++) {
        if (!status_json_first_of_group(s, i)) {
            continue;
        }
        json_open(j, NULL, '{');
        json_str(j, "name", s->peers.v[i].group);
        json_open(j, "peers", '[');
        for (uint32_t k = i; k < s->peers.n; k++) {
            if (str_eq(s->peers.v[k].group, s->peers.v[i].group)) {
                status_json_peer(j, &s->peers.v[k]);
            }
        }
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void status_json_certificates(json *j, const summary *sum)
{
    json_open(j, "certificates", '[');
    for (uint32_t i = 0; i < sum->certs.n; i++) {
        const summary_cert *c = &sum->certs.v[i];
        char text[32];
        status_time(c->not_after_s, text);
        json_open(j, NULL, '{');
        json_str(j, "site", c->site);
        json_str(j, "cert", c->cert_file);
        json_str(j, "key", c->key_file);
        json_int(j, "not_after", c->not_after_s);
        json_str(j, "not_after_text", str_c(text));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void status_json_policies(json *j, const master *m)
{
    json_open(j, "policies", '[');
    for (uint32_t i = 0; i < m->sum.policies.n; i++) {
        json_open(j, NULL, '{');
        json_str(j, "name", m->sum.policies.v[i].name);
        json_str(j, "hash", m->sum.policies.v[i].hash);
        json_close(j, '}');
    }
    json_close(j, ']');
    board_quarantine bad[BOARD_QUARANTINE_MAX];
    int n = board_quarantine_list(m->shared.board, bad);
    json_open(j, "quarantine", '[');
    for (int i = 0; i < n; i++) {
        json_open(j, NULL, '{');
        json_str(j, "policy",
                 str_of(bad[i].policy.name, strnlen(bad[i].policy.name, BOARD_POLICY_MAX)));
        json_int(j, "generation", (int64_t)bad[i].generation);
        json_int(j, "kills", bad[i].kills);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void status_json_dicts(json *j, const summary *sum)
{
    json_open(j, "dicts", '[');
    for (uint32_t i = 0; i < sum->dicts.n; i++) {
        char name[SEG_NAME_MAX + 1];
        int n = snprintf(name, sizeof name, "dict:%.*s", STR_ARG(sum->dicts.v[i].name));
        seg *one = n < (int)sizeof name ? seg_find(str_of(name, (size_t)n)) : NULL;
        dict *d = NULL;
        json_open(j, NULL, '{');
        json_str(j, "name", sum->dicts.v[i].name);
        json_int(j, "size", sum->dicts.v[i].size);
        if (one && dict_open(one, &d) == 0) {
            dict_status st;
            dict_get_status(d, &st);
            json_int(j, "entries", (int64_t)st.entries);
            json_int(j, "free", (int64_t)dict_free_space(d));
            json_int(j, "evicted", (int64_t)st.evicted);
            json_int(j, "repairs", st.repairs);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void status_json_counters(json *j, const stats *st)
{
    const struct {
        const char *name;
        enum stats_id id;
    } cells[] = {{"requests", STAT_REQUESTS},
                 {"requests_active", STAT_REQUESTS_ACTIVE},
                 {"connections", STAT_CONNS_ACTIVE},
                 {"hook_errors", STAT_HOOK_ERRORS},
                 {"budget_kills", STAT_HOOK_BUDGET_KILLS},
                 {"memory_kills", STAT_HOOK_MEMORY_KILLS},
                 {"watchdog_kills", STAT_WATCHDOG_KILLS},
                 {"worker_restarts", STAT_WORKER_RESTARTS},
                 {"reloads", STAT_RELOADS},
                 {"reloads_failed", STAT_RELOADS_FAILED},
                 {"rollbacks", STAT_ROLLBACKS}};
    json_open(j, "counters", '{');
    for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
        json_int(j, cells[i].name, (int64_t)stats_sum(st, cells[i].id));
    }
    json_close(j, '}');
}

static void status_json_head(json *j, const master *m)
{
    json_str(j, "version", str_c(status_version()));
    json_int(j, "pid", getpid());
    json_str(j, "state", str_c(master_state_name(m->state)));
    json_str(j, "config", str_c(m->options.shown));
    json_int(j, "uptime_ms", clock_ms() - m->started_ms);
    json_int(j, "generation", (int64_t)m->generation);
    json_str(j, "hash", str_c(bundle_hash(m->bundle)));
    json_int(j, "committed_ms", m->committed_wall_ms);
    if (m->previous) {
        json_int(j, "previous", (int64_t)m->previous_number);
    } else {
        json_null(j, "previous");
    }
    json_open(j, "swap", '{');
    json_str(j, "state", str_c(swap_state_name(m->swap.state)));
    json_bool(j, "ok", m->swap.last.ticket == 0 || m->swap.last.ok);
    json_str(j, "text", str_c(m->swap.last.text));
    json_close(j, '}');
}

char *status_json(status *s, struct master *m, size_t *n)
{
    char *text = NULL;
    json j = {open_memstream(&text, n), false};
    if (!j.f) {
        return NULL;
    }
    json_open(&j, NULL, '{');
    status_json_head(&j, m);
    status_json_generations(&j, s);
    status_json_workers(&j, s, m);
    status_json_listeners(&j, m);
    status_json_upstreams(&j, s);
    status_json_certificates(&j, &m->sum);
    status_json_policies(&j, m);
    status_json_dicts(&j, &m->sum);
    json_open(&j, "waits", '{');
    for (uint32_t i = 0; i < s->waits.n; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", STR_ARG(s->waits.v[i].name));
        json_int(&j, name, s->waits.v[i].count);
    }
    json_close(&j, '}');
    status_json_counters(&j, m->shared.stats);
    json_close(&j, '}');
    fputc('\n', j.f);
    fclose(j.f);
    return text;
}
