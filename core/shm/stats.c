/* stats.c — counter blocks and the Prometheus text of them. */
#include "shm/stats.h"

#include "base/check.h"
#include "base/fmt.h"
#include "shm/metrics.h"
#include "shm/seg.h"

#include <string.h>

enum { STATS_VERSION = 1 };

struct stats {
    uint32_t slots;
    uint32_t cells; /* STAT_COUNT of who formatted it: another binary may have another list */
    uint32_t hists;
    uint32_t unused[29];
    stats_block blocks[];
};

_Static_assert(sizeof(struct stats) == 128, "blocks start on a cache line of their own");

#define COUNTER false
#define GAUGE true
static const stats_desc stats_list[STAT_ERRORS] = {
#define S(id, name, labels, type, doc) {name, labels, doc, type},
#include "shm/stats.def"
};
#undef COUNTER
#undef GAUGE

static const struct {
    const char *name;
    const char *doc;
} stats_hist_list[STAT_HIST_COUNT] = {
#define H(id, name, doc) {name, doc},
#include "shm/stats.def"
};

static stats_block stats_private;
stats_block *stats_mine = &stats_private;

size_t stats_bytes(uint32_t slots)
{
    return sizeof(stats) + slots * sizeof(stats_block);
}

int stats_open(seg *s, uint32_t slots, stats **out)
{
    *out = NULL;
    int fresh = seg_claim(s, SEG_STATS, STATS_VERSION);
    if (fresh < 0 || slots == 0 || slots > STATS_SLOTS_MAX ||
        seg_data_size(s) < stats_bytes(slots)) {
        return ERR_INVALID;
    }
    stats *st = seg_data(s);
    if (fresh > 0) {
        st->slots = slots;
        st->cells = STAT_COUNT;
        st->hists = STAT_HIST_COUNT;
        seg_ready(s, SEG_STATS, STATS_VERSION);
    } else if (st->slots != slots || st->cells != STAT_COUNT || st->hists != STAT_HIST_COUNT) {
        return ERR_INVALID;
    }
    *out = st;
    return 0;
}

static const stats *stats_around; /* what stats_mine is a part of; NULL: nothing */

void stats_start(stats *st, uint32_t slot)
{
    stats_around = st;
    stats_forget(st, slot);
    stats_mine = &st->blocks[slot];
}

void stats_forget(stats *st, uint32_t slot)
{
    REQUIRE(slot < st->slots);
    for (uint32_t id = 0; id < STAT_ERRORS; id++) {
        if (stats_list[id].is_gauge) {
            __atomic_store_n(&st->blocks[slot].cells[id], 0, __ATOMIC_RELAXED);
        }
    }
}

static void stats_bump(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

void stats_duration(enum stats_hist_id id, int64_t us)
{
    stats_hist *h = &stats_mine->hists[id];
    uint64_t v = us > 0 ? (uint64_t)us : 0;
    uint64_t scaled = v >> STATS_HIST_SHIFT;
    unsigned bucket = scaled == 0 ? 0 : 64 - (unsigned)__builtin_clzll(scaled);
    stats_bump(&h->buckets[bucket < STATS_HIST_BUCKETS ? bucket : STATS_HIST_BUCKETS - 1], 1);
    stats_bump(&h->sum_us, v);
}

uint64_t stats_sum(const stats *st, enum stats_id id)
{
    REQUIRE(id < STAT_COUNT);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < st->slots; i++) {
        sum += __atomic_load_n(&st->blocks[i].cells[id], __ATOMIC_RELAXED);
    }
    bool is_gauge = id < STAT_ERRORS && stats_list[id].is_gauge;
    return is_gauge && (int64_t)sum < 0 ? 0 : sum;
}

uint64_t stats_total(enum stats_id id)
{
    return stats_around ? stats_sum(stats_around, id) : stats_mine->cells[id];
}

void stats_sum_hist(const stats *st, enum stats_hist_id id, stats_hist *out)
{
    REQUIRE(id < STAT_HIST_COUNT);
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < st->slots; i++) {
        const stats_hist *h = &st->blocks[i].hists[id];
        out->sum_us += __atomic_load_n(&h->sum_us, __ATOMIC_RELAXED);
        for (int b = 0; b < STATS_HIST_BUCKETS; b++) {
            out->buckets[b] += __atomic_load_n(&h->buckets[b], __ATOMIC_RELAXED);
        }
    }
}

uint64_t stats_of(const stats *st, uint32_t slot, enum stats_id id)
{
    REQUIRE(slot < st->slots && id < STAT_COUNT);
    return __atomic_load_n(&st->blocks[slot].cells[id], __ATOMIC_RELAXED);
}

void stats_describe(enum stats_id id, stats_desc *out)
{
    REQUIRE(id < STAT_COUNT);
    *out = id < STAT_ERRORS ? stats_list[id]
                            : (stats_desc){"errors_total", "",
                                           "Requests and exchanges that ended in an error", false};
}

static void stats_put_head(fmt *f, const char *name, const char *doc, const char *type)
{
    fmt_put(f, STR("# HELP moongate_"));
    fmt_put(f, str_c(name));
    fmt_char(f, ' ');
    fmt_put(f, str_c(doc));
    fmt_put(f, STR("\n# TYPE moongate_"));
    fmt_put(f, str_c(name));
    fmt_char(f, ' ');
    fmt_put(f, str_c(type));
    fmt_char(f, '\n');
}

static void stats_put_value(fmt *f, const stats_desc *d, uint64_t value)
{
    fmt_put(f, STR("moongate_"));
    fmt_put(f, str_c(d->name));
    if (d->labels[0] != '\0') {
        fmt_char(f, '{');
        fmt_put(f, str_c(d->labels));
        fmt_char(f, '}');
    }
    fmt_char(f, ' ');
    fmt_u64(f, value);
    fmt_char(f, '\n');
}

static int stats_render_list(const stats *st, stats_append *append, void *arg)
{
    for (uint32_t id = 0; id < STAT_ERRORS; id++) {
        char buf[512];
        fmt f = fmt_of(buf, sizeof buf);
        const stats_desc *d = &stats_list[id];
        if (id == 0 || strcmp(d->name, stats_list[id - 1].name) != 0) {
            stats_put_head(&f, d->name, d->doc, d->is_gauge ? "gauge" : "counter");
        }
        stats_put_value(&f, d, stats_sum(st, (enum stats_id)id));
        int code = append(arg, f.base, fmt_str(&f).n);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static int stats_render_errors(const stats *st, stats_append *append, void *arg)
{
    stats_desc d;
    stats_describe(STAT_ERRORS, &d);
    char buf[512];
    fmt f = fmt_of(buf, sizeof buf);
    stats_put_head(&f, d.name, d.doc, "counter");
    int code = append(arg, f.base, fmt_str(&f).n);
    for (int i = 1; i < (int)ERR_INDEX_COUNT && code >= 0; i++) {
        uint64_t n = stats_sum(st, (enum stats_id)((int)STAT_ERRORS + i));
        if (n == 0) {
            continue; /* most never happen; a series appears with its first error */
        }
        char labels[64];
        fmt l = fmt_of(labels, sizeof labels - 1);
        fmt_put(&l, STR("code=\""));
        fmt_put(&l, str_c(err_name(-i)));
        fmt_char(&l, '"');
        labels[fmt_str(&l).n] = '\0';
        d.labels = labels;
        f = fmt_of(buf, sizeof buf);
        stats_put_value(&f, &d, n);
        code = append(arg, f.base, fmt_str(&f).n);
    }
    return code < 0 ? code : 0;
}

static void stats_put_hist(fmt *f, const char *name, const stats_hist *h)
{
    uint64_t count = 0;
    for (int b = 0; b < STATS_HIST_BUCKETS; b++) {
        count += h->buckets[b];
        fmt_printf(f, "moongate_%s_bucket{le=\"", name);
        if (b == STATS_HIST_BUCKETS - 1) {
            fmt_put(f, STR("+Inf"));
        } else {
            fmt_printf(f, "%.6f", (double)(UINT64_C(1) << (b + STATS_HIST_SHIFT)) / 1e6);
        }
        fmt_printf(f, "\"} %llu\n", (unsigned long long)count);
    }
    fmt_printf(f, "moongate_%s_sum %.6f\nmoongate_%s_count %llu\n", name, (double)h->sum_us / 1e6,
               name, (unsigned long long)count);
}

static int stats_render_hists(const stats *st, stats_append *append, void *arg)
{
    for (int id = 0; id < STAT_HIST_COUNT; id++) {
        char buf[4096];
        fmt f = fmt_of(buf, sizeof buf);
        stats_hist sum;
        stats_sum_hist(st, (enum stats_hist_id)id, &sum);
        stats_put_head(&f, stats_hist_list[id].name, stats_hist_list[id].doc, "histogram");
        stats_put_hist(&f, stats_hist_list[id].name, &sum);
        int code = append(arg, f.base, fmt_str(&f).n);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int stats_render(const stats *st, struct metrics *m, stats_append *append, void *arg)
{
    int code = stats_render_list(st, append, arg);
    code = code < 0 ? code : stats_render_errors(st, append, arg);
    code = code < 0 ? code : stats_render_hists(st, append, arg);
    return code < 0 || m == NULL ? code : metrics_render(m, append, arg);
}
