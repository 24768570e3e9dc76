/* metrics.h — named figures of policies (mg.metrics): counters, gauges, histograms with labels.
 *
 * A series (name + labels) is registered once and gets an id, the same in every worker and for as
 * long as the segment lives, so figures survive a hot swap. Counters and histograms have cells per
 * worker (one writer, no locks); a gauge is one cell for all workers, set or added to atomically.
 * The table is bounded; a full one refuses new series and counts the refusals. */
#ifndef SHM_METRICS_H
#define SHM_METRICS_H

#include "base/str.h"
#include "shm/stats.h"

typedef struct metrics metrics;
typedef struct seg seg;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum {
    METRIC_NAME_MAX = 95,    /* bytes */
    METRIC_LABELS_MAX = 255, /* bytes of all labels, escaped, with names and quotes */
    METRIC_DOC_MAX = 127,    /* longer docs are cut */
    METRIC_BOUNDS_MAX = 24,  /* finite histogram buckets */
};

typedef struct metric_label {
    str name;
    str value;
} metric_label;

/* Labels are part of the identity in the order given: sort them. */
typedef struct metric_def {
    enum metric_kind kind;
    str name; /* [a-zA-Z_:][a-zA-Z0-9_:]*; keep the prefix moongate_ for ourselves */
    str doc;
    const metric_label *labels;
    uint32_t n_labels;
    const double *bounds; /* histogram: finite upper bounds, rising */
    uint32_t n_bounds;
} metric_def;

/* Formats or attaches. `slots` as in stats_open; `series` = most series the table takes. */
MUST_USE int metrics_open(seg *s, uint32_t slots, uint32_t series, metrics **out);
size_t metrics_bytes(uint32_t slots, uint32_t series);
/* Which column this process writes; before it, column 0. */
void metrics_start(uint32_t slot);

/* Id (>= 0) of the series, registered if new. ERR_INVALID: bad name, label, bounds, or the name is
 * known with another kind or other bounds; ERR_LIMIT: table full. Takes a lock: once per series,
 * not per request. */
MUST_USE int metrics_register(metrics *m, const metric_def *def);
/* Counter: by >= 0 (negative and NaN are ignored). Gauge: any. Unknown ids are ignored. */
void metrics_add(metrics *m, int id, double by);
/* Gauges only. */
void metrics_set(metrics *m, int id, double value);
/* Histograms only. */
void metrics_observe(metrics *m, int id, double value);
/* Counter and gauge: the value over all workers. Histogram: the count. */
double metrics_value(const metrics *m, int id);
uint32_t metrics_count(const metrics *m);

/* As stats_render. */
MUST_USE int metrics_render(metrics *m, stats_append *append, void *arg);

#endif
