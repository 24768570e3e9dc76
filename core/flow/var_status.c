/* var_status.c — what all workers together do, as nginx's stub_status counts it: a connection waits, has a part of a head read, or carries
 * a request. */
#include "flow/var.h"
#include "flow/var_impl.h"
#include "shm/stats.h"

static uint64_t waiting(void)
{
    uint64_t all = stats_total(STAT_CONNS_ACTIVE), busy = stats_total(STAT_CONNS_READING) + stats_total(STAT_REQUESTS_ACTIVE);
    return all > busy ? all - busy : 0;
}

/* table: variables and what they show */
#define FIGURES(X)                                                                                            \
    X(connections_accepted, stats_total(STAT_CONNS_ACCEPTED) + stats_total(STAT_CONNS_REFUSED))               \
    X(connections_active, stats_total(STAT_CONNS_ACTIVE))                                                     \
    X(connections_handled, stats_total(STAT_CONNS_ACCEPTED))                                                  \
    X(connections_reading, stats_total(STAT_CONNS_READING))                                                   \
    X(connections_requests, stats_total(STAT_REQUESTS))                                                       \
    X(connections_waiting, waiting())                                                                         \
    X(connections_writing, stats_total(STAT_REQUESTS_ACTIVE))

#define X(name, figure)                 \
    str var_get_##name(req *r, str arg) \
    {                                   \
        (void)arg;                      \
        return var_number(r, figure);   \
    }
FIGURES(X)
#undef X
