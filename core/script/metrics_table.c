/* metrics_table.c — see metrics_table.h. */
#include "script/metrics_table.h"

#include "script/task.h"
#include "shm/seg.h"

metrics *metrics_table_open(uint32_t workers)
{
    metrics *table;
    seg *s = seg_find(STR("metrics"));
    return s && metrics_open(s, workers, SCRIPT_METRICS_SERIES, &table) == 0 ? table : NULL;
}
