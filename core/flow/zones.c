/* zones.c — see zones.h. */
#include "flow/zones.h"

#include "base/err.h"
#include "conf/conf.h"
#include "shm/limit.h"
#include "shm/peers.h"
#include "shm/seg.h"

#include <stdio.h>

static uint32_t this_worker;

static str zone_name(const struct conf_zone *c, char *room, size_t cap)
{
    static const char *const kinds[] = {"rate", "conn", "peers"};
    int n = snprintf(room, cap, "%s:%.*s", kinds[c->kind], STR_ARG(c->name));
    return str_of(room, n > 0 && (size_t)n < cap ? (size_t)n : 0);
}

static int make_one(const struct conf_zone *c, uint32_t workers, seg **s)
{
    char room[SEG_NAME_MAX + 1];
    limit *rates;
    limit_conn *conns;
    peers *table;
    int rc = seg_open(zone_name(c, room, sizeof room), (size_t)c->size, s);
    if (rc < 0) {
        return rc;
    }
    return c->kind == CONF_ZONE_RATE   ? limit_open(*s, &rates)
           : c->kind == CONF_ZONE_CONN ? limit_conn_open(*s, workers, &conns)
                                       : peers_open(*s, workers, &table);
}

int zones_make(const conf *c, uint32_t workers, void (*fn)(void *arg, seg *s), void *arg, char *err,
               size_t errcap)
{
    for (int i = 0; i < c->g.zones.n; i++) {
        const struct conf_zone *z = &c->g.zones.v[i];
        seg *s;
        int rc = make_one(z, workers, &s);
        if (rc < 0) {
            snprintf(err, errcap, "zone \"%.*s\" of %lld bytes: %s", STR_ARG(z->name),
                     (long long)z->size,
                     rc == ERR_INVALID ? "the name is too long or the size too small"
                                       : err_text(rc));
            return rc;
        }
        if (fn) {
            fn(arg, s);
        }
    }
    return 0;
}

static void forget_in(void *arg, seg *s)
{
    const uint32_t *worker = arg;
    limit_conn *l;
    peers *t;
    if (seg_kind_of(s) == SEG_LIMIT_CONN && limit_conn_attach(s, &l) == 0) {
        limit_conn_forget_worker(l, *worker);
    } else if (seg_kind_of(s) == SEG_PEERS && peers_attach(s, &t) == 0) {
        peers_forget_worker(t, *worker);
    }
}

void zones_forget_worker(uint32_t worker)
{
    seg_each(forget_in, &worker);
}

void zones_enter_worker(uint32_t worker)
{
    this_worker = worker;
    peers_enter_worker(worker);
}

uint32_t zones_worker(void)
{
    return this_worker;
}

int zone_bind(zone *z)
{
    char room[SEG_NAME_MAX + 1];
    if (z->c->kind == CONF_ZONE_PEERS) {
        return 0; /* its groups look for it */
    }
    seg *s = seg_find(zone_name(z->c, room, sizeof room));
    int rc = !s ? ERR_NOT_FOUND
             : z->c->kind == CONF_ZONE_RATE ? limit_open(s, &z->rates)
                                            : limit_conn_attach(s, &z->conns);
    if (rc < 0) {
        return ERR_NOT_FOUND;
    }
    seg_ref(s); /* as long as the process: a table that requests hold slots in may not go */
    return 0;
}
