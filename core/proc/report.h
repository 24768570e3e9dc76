/* report.h — what a worker tells of itself for the status page: lines of tab-separated fields in a
 * memfd, because a worker with many upstreams has more to say than a message holds.
 *
 *   gen   number role requests refs lua_bytes tasks
 *   peer  group address tier weight state in_flight idle attempts failures server added
 *   front connections idle requests tunnels accepted refused
 *   wait  name count
 */
#ifndef PROC_REPORT_H
#define PROC_REPORT_H

#include "front/front.h"
#include "proc/generation.h"

struct report_worker {
    const generation *current, *warm, *prepared;
    group_set *groups;
    const front *front;
};

/* A memfd, to be closed by the caller; or ERR_*. */
MUST_USE int report_write(const struct report_worker *r);

#endif
