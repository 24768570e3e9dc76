/* shared.c — see shared.h. The master never runs a configuration, so it hands script_segments a
 * conf that has nothing but the dictionaries and the zones of limits. */
#include "proc/shared.h"

#include "base/clock.h"
#include "base/err.h"
#include "flow/zones.h"
#include "script/script.h"
#include "shm/seg.h"
#include "tls/ctx.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHARED_TICKETS_VERSION = 2 };

static int shared_fail(int rc, const char *what, char *err, size_t errcap)
{
    snprintf(err, errcap, "shared memory for %s: %s", what, err_text(rc));
    return rc;
}

static int shared_open_tickets(shared *s)
{
    seg *one;
    int rc = seg_open(STR("tls:tickets"), TLS_TICKETS_SIZE, &one);
    if (rc < 0) {
        return rc;
    }
    rc = seg_claim(one, SEG_OTHER, SHARED_TICKETS_VERSION);
    if (rc < 0) {
        return rc;
    }
    s->tickets = seg_data(one);
    if (rc == 1) {
        seg_ready(one, SEG_OTHER, SHARED_TICKETS_VERSION);
        shared_rotate_tickets(s);
    }
    return 0;
}

int shared_open(shared *s, uint32_t slots, const summary *sum, char *err, size_t errcap)
{
    *s = (shared){.slots = slots};
    seg *one;
    int rc = seg_open(STR("stats"), stats_bytes(slots + 1), &one);
    rc = rc < 0 ? rc : stats_open(one, slots + 1, &s->stats);
    if (rc < 0) {
        return shared_fail(rc, "counters", err, errcap);
    }
    stats_start(s->stats, slots);
    rc = seg_open(STR("board"), board_bytes(slots), &one);
    rc = rc < 0 ? rc : board_open(one, slots, &s->board);
    if (rc < 0) {
        return shared_fail(rc, "the scoreboard", err, errcap);
    }
    rc = shared_open_tickets(s);
    if (rc < 0) {
        return shared_fail(rc, "ticket keys", err, errcap);
    }
    return shared_update(s, sum, NULL, NULL, err, errcap);
}

int shared_update(shared *s, const summary *sum, void (*fn)(void *arg, struct seg *one), void *arg,
                  char *err, size_t errcap)
{
    conf *c = conf_new();
    c->g.dicts.n = (int)sum->dicts.n;
    c->g.dicts.v = pool_zalloc(&c->pool, (sum->dicts.n + 1) * sizeof *c->g.dicts.v);
    for (uint32_t i = 0; i < sum->dicts.n; i++) {
        c->g.dicts.v[i].name = sum->dicts.v[i].name;
        c->g.dicts.v[i].size = sum->dicts.v[i].size;
    }
    c->g.zones.n = (int)sum->zones.n;
    c->g.zones.v = pool_zalloc(&c->pool, (sum->zones.n + 1) * sizeof *c->g.zones.v);
    for (uint32_t i = 0; i < sum->zones.n; i++) {
        const summary_zone *z = &sum->zones.v[i];
        c->g.zones.v[i] = (struct conf_zone){z->name, z->size, (int)z->kind};
    }
    int rc = script_segments(c, s->slots, fn, arg, err, errcap);
    rc = rc < 0 ? rc : zones_make(c, s->slots, fn, arg, err, errcap);
    conf_free(c);
    return rc < 0 ? rc : 0;
}

void shared_forget_worker(shared *s, uint32_t slot)
{
    zones_forget_worker(slot);
    stats_forget(s->stats, slot);
    board_free(s->board, slot);
}

void shared_rotate_tickets(shared *s)
{
    tls_tickets_rotate(s->tickets, clock_wall_ms() / 1000);
}

void shared_enter_worker(shared *s, uint32_t slot)
{
    stats_start(s->stats, slot);
    metrics_start(slot);
    zones_enter_worker(slot);
    tls_tickets_attach(s->tickets);
}
