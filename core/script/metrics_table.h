/* metrics_table.h — the shared table of mg.metrics, for whoever renders it (the admin page). */
#ifndef SCRIPT_METRICS_TABLE_H
#define SCRIPT_METRICS_TABLE_H

#include "shm/metrics.h"

/* After script_segments with the same number of workers; NULL when there is no such segment. */
metrics *metrics_table_open(uint32_t workers);

#endif
