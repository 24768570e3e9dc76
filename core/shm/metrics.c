/* metrics.c — the table of named series and their cells.
 *
 * A series is written completely, then published by the count; it never changes or moves
 * afterwards, so readers take no lock and a process killed in metrics_register() leaves nothing
 * behind. Cells are columns: one per slot, and a last one for gauges, which all workers share. */
#include "shm/metrics.h"

#include "base/err.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "shm/lock.h"
#include "shm/seg.h"

#include <math.h>
#include <string.h>

enum { METRICS_VERSION = 1, METRICS_CELLS_PER_SERIES = 4, METRICS_CELLS_MIN = 64 };

typedef struct metrics_series {
    uint64_t hash;
    uint32_t kind;
    uint32_t family; /* index of the first series of that name */
    uint32_t cell;
    uint32_t n_bounds;
    char name[METRIC_NAME_MAX + 1];
    char labels[METRIC_LABELS_MAX + 1]; /* as in the text: a="x",b="y" */
    char doc[METRIC_DOC_MAX + 1];
    double bounds[METRIC_BOUNDS_MAX];
} metrics_series;

struct metrics {
    lock lock;
    uint32_t slots;
    uint32_t max;   /* series */
    uint32_t cells; /* per column, a multiple of 8 */
    uint32_t cells_used;
    uint32_t count;
    uint32_t refused;
    uint64_t cells_at; /* bytes from here */
    uint64_t unused[3];
    metrics_series series[];
};

static uint32_t metrics_column;

static uint32_t metrics_cells_for(uint32_t series)
{
    uint32_t n = series * METRICS_CELLS_PER_SERIES;
    return ((n < METRICS_CELLS_MIN ? METRICS_CELLS_MIN : n) + 7) / 8 * 8;
}

static size_t metrics_cells_at(uint32_t series)
{
    return (sizeof(metrics) + series * sizeof(metrics_series) + 63) / 64 * 64;
}

size_t metrics_bytes(uint32_t slots, uint32_t series)
{
    return metrics_cells_at(series) +
           ((size_t)slots + 1) * metrics_cells_for(series) * sizeof(uint64_t);
}

int metrics_open(seg *s, uint32_t slots, uint32_t series, metrics **out)
{
    *out = NULL;
    int fresh = seg_claim(s, SEG_METRICS, METRICS_VERSION);
    if (fresh < 0 || slots == 0 || slots > STATS_SLOTS_MAX || series == 0 || series > 1U << 20 ||
        seg_data_size(s) < metrics_bytes(slots, series)) {
        return ERR_INVALID;
    }
    metrics *m = seg_data(s);
    if (fresh > 0) {
        lock_init(&m->lock);
        m->slots = slots;
        m->max = series;
        m->cells = metrics_cells_for(series);
        m->cells_at = metrics_cells_at(series);
        seg_ready(s, SEG_METRICS, METRICS_VERSION);
    } else if (m->slots != slots || m->max != series) {
        return ERR_INVALID;
    }
    *out = m;
    return 0;
}

void metrics_start(uint32_t slot)
{
    metrics_column = slot;
}

static inline uint64_t *metrics_cell(const metrics *m, uint32_t column, uint32_t cell)
{
    char *at = (char *)(uintptr_t)m + m->cells_at;
    return (uint64_t *)(void *)at + (size_t)column * m->cells + cell;
}

static inline uint64_t *metrics_mine(metrics *m, uint32_t cell)
{
    return metrics_cell(m, metrics_column < m->slots ? metrics_column : 0, cell);
}

static inline double metrics_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint64_t metrics_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline uint64_t metrics_load(const uint64_t *cell)
{
    return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

static bool metrics_is_name(str s, bool colon)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = str_lower_char((unsigned char)s.p[i]);
        bool letter = (c >= 'a' && c <= 'z') || c == '_' || (colon && c == ':');
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return s.n > 0 && s.n <= METRIC_NAME_MAX;
}

/* Label values are UTF-8 with three escapes; other control bytes would break no line but help
 * nobody. */
static void metrics_escape(fmt *f, str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\n') {
            fmt_put(f, STR("\\n"));
        } else if ((unsigned char)c < ' ' || c == 0x7f) {
            fmt_char(f, '?');
        } else {
            if (c == '"' || c == '\\') {
                fmt_char(f, '\\');
            }
            fmt_char(f, c);
        }
    }
}

static int metrics_labels(const metric_def *def, fmt *f)
{
    for (uint32_t i = 0; i < def->n_labels; i++) {
        if (!metrics_is_name(def->labels[i].name, false)) {
            return ERR_INVALID;
        }
        if (i > 0) {
            fmt_char(f, ',');
        }
        fmt_put(f, def->labels[i].name);
        fmt_put(f, STR("=\""));
        metrics_escape(f, def->labels[i].value);
        fmt_char(f, '"');
    }
    return f->cut ? ERR_INVALID : 0;
}

static bool metrics_are_bounds(const metric_def *def)
{
    if (def->kind != METRIC_HISTOGRAM) {
        return def->n_bounds == 0;
    }
    for (uint32_t i = 0; i < def->n_bounds && i < METRIC_BOUNDS_MAX; i++) {
        if (!isfinite(def->bounds[i]) || (i > 0 && def->bounds[i] <= def->bounds[i - 1])) {
            return false;
        }
    }
    return def->n_bounds > 0 && def->n_bounds <= METRIC_BOUNDS_MAX;
}

static bool metrics_same_shape(const metrics_series *s, const metric_def *def)
{
    return s->kind == (uint32_t)def->kind && s->n_bounds == def->n_bounds &&
           (def->n_bounds == 0 ||
            memcmp(s->bounds, def->bounds, def->n_bounds * sizeof(double)) == 0);
}

/* Text for HELP: one line, cut to fit. */
static void metrics_set_doc(metrics_series *s, str doc)
{
    size_t n = doc.n < METRIC_DOC_MAX ? doc.n : METRIC_DOC_MAX;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)doc.p[i];
        s->doc[i] = c < ' ' || c == '\\' || c == 0x7f ? ' ' : (char)c;
    }
    s->doc[n] = '\0';
}

static int metrics_append(metrics *m, const metric_def *def, str labels, uint32_t family)
{
    uint32_t cells = def->kind == METRIC_HISTOGRAM ? def->n_bounds + 2 : 1;
    if (m->count >= m->max || cells > m->cells - m->cells_used) {
        m->refused++;
        return ERR_LIMIT;
    }
    uint32_t id = m->count;
    metrics_series *s = &m->series[id];
    memset(s, 0, sizeof *s);
    s->hash = hash_keyed(labels, 0, 0);
    s->kind = (uint32_t)def->kind;
    s->family = family == UINT32_MAX ? id : family;
    s->cell = m->cells_used;
    s->n_bounds = def->n_bounds;
    memcpy(s->name, def->name.p, def->name.n);
    memcpy(s->labels, labels.p, labels.n);
    metrics_set_doc(s, def->doc);
    if (def->n_bounds > 0) {
        memcpy(s->bounds, def->bounds, def->n_bounds * sizeof(double));
    }
    m->cells_used += cells;
    __atomic_store_n(&m->count, id + 1, __ATOMIC_RELEASE);
    return (int)id;
}

static int metrics_find_or_append(metrics *m, const metric_def *def, str labels)
{
    uint64_t hash = hash_keyed(labels, 0, 0);
    uint32_t family = UINT32_MAX;
    for (uint32_t i = 0; i < m->count; i++) {
        const metrics_series *s = &m->series[i];
        if (family == UINT32_MAX ? !str_eq(str_c(s->name), def->name) : s->family != family) {
            continue;
        }
        family = s->family;
        if (!metrics_same_shape(s, def)) {
            return ERR_INVALID;
        }
        if (s->hash == hash && str_eq(str_c(s->labels), labels)) {
            return (int)i;
        }
    }
    return metrics_append(m, def, labels, family);
}

static void metrics_repair(void *arg)
{
    (void)
        arg; /* unpublished series are overwritten by the next one; at worst some cells are lost */
}

int metrics_register(metrics *m, const metric_def *def)
{
    char buf[METRIC_LABELS_MAX];
    fmt f = fmt_of(buf, sizeof buf);
    if (!metrics_is_name(def->name, true) || !metrics_are_bounds(def) ||
        metrics_labels(def, &f) != 0) {
        return ERR_INVALID;
    }
    lock_take(&m->lock, metrics_repair, m);
    int id = metrics_find_or_append(m, def, fmt_str(&f));
    lock_release(&m->lock);
    return id;
}

/* The series of an id that may come from a script; NULL = none of that kind. */
static inline const metrics_series *metrics_at(const metrics *m, int id)
{
    uint32_t count = __atomic_load_n(&m->count, __ATOMIC_ACQUIRE);
    return id >= 0 && (uint32_t)id < count ? &m->series[id] : NULL;
}

static void metrics_gauge_add(uint64_t *cell, double by)
{
    uint64_t old = metrics_load(cell);
    while (!__atomic_compare_exchange_n(cell, &old, metrics_bits(metrics_double(old) + by), true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* One writer per cell. */
static inline void metrics_cell_add(uint64_t *cell, double by)
{
    __atomic_store_n(cell, metrics_bits(metrics_double(metrics_load(cell)) + by), __ATOMIC_RELAXED);
}

void metrics_add(metrics *m, int id, double by)
{
    const metrics_series *s = metrics_at(m, id);
    if (s == NULL) {
        return;
    }
    if (s->kind == METRIC_COUNTER && by >= 0) {
        metrics_cell_add(metrics_mine(m, s->cell), by);
    } else if (s->kind == METRIC_GAUGE) {
        metrics_gauge_add(metrics_cell(m, m->slots, s->cell), by);
    }
}

void metrics_set(metrics *m, int id, double value)
{
    const metrics_series *s = metrics_at(m, id);
    if (s != NULL && s->kind == METRIC_GAUGE) {
        __atomic_store_n(metrics_cell(m, m->slots, s->cell), metrics_bits(value), __ATOMIC_RELAXED);
    }
}

void metrics_observe(metrics *m, int id, double value)
{
    const metrics_series *s = metrics_at(m, id);
    if (s == NULL || s->kind != METRIC_HISTOGRAM || isnan(value)) {
        return;
    }
    uint32_t bucket = 0;
    while (bucket < s->n_bounds && value > s->bounds[bucket]) {
        bucket++;
    }
    uint64_t *cells = metrics_mine(m, s->cell);
    __atomic_store_n(&cells[bucket], metrics_load(&cells[bucket]) + 1, __ATOMIC_RELAXED);
    metrics_cell_add(&cells[s->n_bounds + 1], value);
}

static uint64_t metrics_sum_u64(const metrics *m, uint32_t cell)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m->slots; i++) {
        sum += metrics_load(metrics_cell(m, i, cell));
    }
    return sum;
}

static double metrics_sum_double(const metrics *m, uint32_t cell)
{
    double sum = 0;
    for (uint32_t i = 0; i < m->slots; i++) {
        sum += metrics_double(metrics_load(metrics_cell(m, i, cell)));
    }
    return sum;
}

double metrics_value(const metrics *m, int id)
{
    const metrics_series *s = metrics_at(m, id);
    if (s == NULL) {
        return 0;
    }
    if (s->kind == METRIC_GAUGE) {
        return metrics_double(metrics_load(metrics_cell(m, m->slots, s->cell)));
    }
    if (s->kind == METRIC_COUNTER) {
        return metrics_sum_double(m, s->cell);
    }
    uint64_t count = 0;
    for (uint32_t i = 0; i <= s->n_bounds; i++) {
        count += metrics_sum_u64(m, s->cell + i);
    }
    return (double)count;
}

uint32_t metrics_count(const metrics *m)
{
    return __atomic_load_n(&m->count, __ATOMIC_ACQUIRE);
}

static void metrics_put_double(fmt *f, double v)
{
    if (isnan(v)) {
        fmt_put(f, STR("NaN"));
    } else if (isinf(v)) {
        fmt_put(f, v > 0 ? STR("+Inf") : STR("-Inf"));
    } else {
        fmt_printf(f, "%.15g", v);
    }
}

/* name_suffix{labels[,le="bound"]} value */
static void metrics_put_line(fmt *f, const metrics_series *s, const char *suffix, const double *le,
                             double value)
{
    fmt_put(f, str_c(s->name));
    fmt_put(f, str_c(suffix));
    if (s->labels[0] != '\0' || le != NULL) {
        fmt_char(f, '{');
        fmt_put(f, str_c(s->labels));
        if (le != NULL) {
            fmt_put(f, s->labels[0] != '\0' ? STR(",le=\"") : STR("le=\""));
            metrics_put_double(f, *le);
            fmt_char(f, '"');
        }
        fmt_char(f, '}');
    }
    fmt_char(f, ' ');
    metrics_put_double(f, value);
    fmt_char(f, '\n');
}

static int metrics_render_hist(const metrics *m, const metrics_series *s, stats_append *append,
                               void *arg)
{
    uint64_t count = 0;
    int code = 0;
    for (uint32_t i = 0; i <= s->n_bounds && code >= 0; i++) {
        char buf[768];
        fmt f = fmt_of(buf, sizeof buf);
        double le = i < s->n_bounds ? s->bounds[i] : (double)INFINITY;
        count += metrics_sum_u64(m, s->cell + i);
        metrics_put_line(&f, s, "_bucket", &le, (double)count);
        code = append(arg, f.base, fmt_str(&f).n);
    }
    char buf[1024];
    fmt f = fmt_of(buf, sizeof buf);
    metrics_put_line(&f, s, "_sum", NULL, metrics_sum_double(m, s->cell + s->n_bounds + 1));
    metrics_put_line(&f, s, "_count", NULL, (double)count);
    return code < 0 ? code : append(arg, f.base, fmt_str(&f).n);
}

static int metrics_render_series(const metrics *m, int id, stats_append *append, void *arg)
{
    const metrics_series *s = &m->series[id];
    if (s->kind == METRIC_HISTOGRAM) {
        return metrics_render_hist(m, s, append, arg);
    }
    char buf[768];
    fmt f = fmt_of(buf, sizeof buf);
    metrics_put_line(&f, s, "", NULL, metrics_value(m, id));
    return append(arg, f.base, fmt_str(&f).n);
}

static int metrics_render_family(const metrics *m, uint32_t first, uint32_t count,
                                 stats_append *append, void *arg)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    const metrics_series *s = &m->series[first];
    char buf[512];
    fmt f = fmt_of(buf, sizeof buf);
    fmt_printf(&f, "# HELP %s %s\n# TYPE %s %s\n", s->name, s->doc, s->name, kinds[s->kind]);
    int code = append(arg, f.base, fmt_str(&f).n);
    for (uint32_t i = first; i < count && code >= 0; i++) {
        if (m->series[i].family == first) {
            code = metrics_render_series(m, (int)i, append, arg);
        }
    }
    return code;
}

int metrics_render(metrics *m, stats_append *append, void *arg)
{
    char buf[256];
    fmt f = fmt_of(buf, sizeof buf);
    fmt_printf(&f,
               "# HELP moongate_metrics_refused_total Series refused by a full table\n"
               "# TYPE moongate_metrics_refused_total counter\n"
               "moongate_metrics_refused_total %u\n",
               __atomic_load_n(&m->refused, __ATOMIC_RELAXED));
    int code = append(arg, f.base, fmt_str(&f).n);
    uint32_t count = metrics_count(m);
    for (uint32_t i = 0; i < count && code >= 0; i++) {
        if (m->series[i].family == i) {
            code = metrics_render_family(m, i, count, append, arg);
        }
    }
    return code < 0 ? code : 0;
}
