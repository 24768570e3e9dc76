/* report.c — see report.h. */
#include "proc/report.h"

#include "back/origin.h"
#include "back/peer.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/req.h"
#include "shm/peers.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct report {
    FILE *f;
    const struct report_worker *of;
    uint32_t waits[REQ_WAIT_FILE + 1];
    const plan *counted; /* scratch: requests of this plan */
    uint32_t requests;
};

static void report_count(req *q, void *arg)
{
    struct report *r = arg;
    r->requests += q->plan == r->counted;
}

static void report_generation(generation *g, void *arg)
{
    struct report *r = arg;
    const char *role = g == r->of->current    ? "current"
                       : g == r->of->warm     ? "warm"
                       : g == r->of->prepared ? "prepared"
                                              : "pinned";
    if (!g->plan) {
        return; /* about to be freed */
    }
    r->counted = g->plan;
    r->requests = 0;
    req_each(report_count, r);
    fprintf(r->f, "gen\t%llu\t%s\t%u\t%u\t%zu\t%u\n", (unsigned long long)g->number, role,
            r->requests, generation_refs(g), script_memory(g->script), script_tasks(g->script));
}

static const char *report_peer_state(const peer *p)
{
    if (p->gone) {
        return "gone";
    }
    if (p->down) {
        return !p->drained ? "down" : peer_in_flight(p) ? "draining" : "drained";
    }
    uint32_t flags = p->st->flags;
    if (flags & PEER_SICK) {
        return "sick";
    }
    if ((flags & PEER_OUTLIER) && clock_ms() < p->st->outlier_until_ms) {
        return "outlier";
    }
    if ((flags & PEER_FAILED) && !passive_allows(p, clock_ms())) {
        return "ejected";
    }
    return flags & PEER_SLOW ? "recovering" : "up";
}

static void report_group(group *g, void *arg)
{
    struct report *r = arg;
    LIST_EACH(it, &g->peers)
    {
        const peer *p = list_item(it, peer, node);
        fprintf(r->f, "peer\t%.*s\t%s\t%s\t%d\t%s\t%u\t%u\t%llu\t%llu\t%s\t%d\n", STR_ARG(g->name), p->text,
                p->backup ? "backup" : "primary", p->weight, report_peer_state(p), *p->held,
                p->idle.n, (unsigned long long)p->attempts, (unsigned long long)p->failures,
                p->origin->label ? p->origin->label : p->origin->text, p->origin->added);
    }
    LIST_EACH(it, &g->origins)
    {
        const origin *o = list_item(it, origin, node);
        if (!o->answered) {
            fprintf(r->f, "peer\t%.*s\t-\t%s\t%lld\tunresolved\t0\t0\t0\t0\t%s\t%d\n", STR_ARG(g->name), o->own.backup ? "backup" : "primary",
                    (long long)o->own.weight, o->label ? o->label : o->text, o->added);
        }
    }
}

static void report_request(req *q, void *arg)
{
    struct report *r = arg;
    if (q->wait < ARRAY_LEN(r->waits)) {
        r->waits[q->wait]++;
    }
}

int report_write(const struct report_worker *w)
{
    int fd = memfd_create("moongate-status", MFD_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    struct report r = {.f = fdopen(dup(fd), "w"), .of = w};
    if (!r.f) {
        close(fd);
        return ERR_MEM;
    }
    struct front_counts n;
    front_count(w->front, &n);
    fprintf(r.f, "front\t%u\t%u\t%u\t%u\t%llu\t%llu\n", n.connections, n.idle, n.requests,
            n.tunnels, (unsigned long long)n.accepted, (unsigned long long)n.refused);
    generation_each(report_generation, &r);
    group_each(w->groups, report_group, &r);
    req_each(report_request, &r);
    for (size_t i = 0; i < ARRAY_LEN(r.waits); i++) {
        if (r.waits[i]) {
            fprintf(r.f, "wait\t%s\t%u\n", req_wait_name((enum req_wait)i), r.waits[i]);
        }
    }
    fclose(r.f);
    return fd;
}
