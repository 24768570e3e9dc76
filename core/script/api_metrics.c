/* api_metrics.c — series of mg.metrics by id; lua/moongate/metrics.lua keeps names, labels and ids
 * together. */
#include "script/api.h"

#include "base/err.h"
#include "script/task.h"
#include "shm/metrics.h"
#include "shm/seg.h"

enum { LABELS_MAX = 16 };

/* The process' table; the segment lives as long as it does. */
static metrics *table;

static metrics *metrics_table(void)
{
    if (UNLIKELY(!table)) {
        seg *s = seg_find(STR("metrics"));
        if (s && metrics_open(s, script_workers(), SCRIPT_METRICS_SERIES, &table) == 0) {
            seg_ref(s);
        }
    }
    return table;
}

static uint32_t labels_arg(lua_State *L, int idx, metric_label *out)
{
    uint32_t n = 0;
    if (!lua_istable(L, idx)) {
        return 0;
    }
    for (; n < LABELS_MAX; n++) {
        lua_rawgeti(L, idx, (int)(2 * n + 1));
        lua_rawgeti(L, idx, (int)(2 * n + 2));
        if (lua_type(L, -1) != LUA_TSTRING || lua_type(L, -2) != LUA_TSTRING) {
            break;
        }
        out[n] = (metric_label){vm_str(L, -2), vm_str(L, -1)}; /* the table keeps them alive */
        lua_pop(L, 2);
    }
    return n;
}

static uint32_t bounds_arg(lua_State *L, int idx, double *out)
{
    uint32_t n = lua_istable(L, idx) ? (uint32_t)lua_objlen(L, idx) : 0;
    n = n < METRIC_BOUNDS_MAX ? n : METRIC_BOUNDS_MAX;
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(L, idx, (int)i + 1);
        out[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    return n;
}

/* core.metric(kind, name, doc, { label, value, … }, bounds): id, or nil and why. */
static int new_metric(lua_State *L)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", NULL};
    metric_label labels[LABELS_MAX];
    double bounds[METRIC_BOUNDS_MAX];
    metric_def d = {.kind = (enum metric_kind)luaL_checkoption(L, 1, NULL, kinds)};
    d.name = str_c(luaL_checkstring(L, 2));
    d.doc = str_c(luaL_optstring(L, 3, ""));
    d.labels = labels;
    d.n_labels = labels_arg(L, 4, labels);
    d.bounds = bounds;
    d.n_bounds = bounds_arg(L, 5, bounds);
    metrics *m = metrics_table();
    if (!m) {
        lua_pushinteger(L, -1); /* no segment: figures go nowhere (validation, specs) */
        return 1;
    }
    int id = metrics_register(m, &d);
    if (id < 0) {
        lua_pushnil(L);
        lua_pushstring(L, id == ERR_LIMIT ? "too many series" : "bad name, label or kind");
        return 2;
    }
    lua_pushinteger(L, id);
    return 1;
}

static int operate(lua_State *L, void (*fn)(metrics *m, int id, double v))
{
    int id = (int)luaL_checkinteger(L, 1);
    double v = luaL_checknumber(L, 2);
    if (table && id >= 0) {
        fn(table, id, v);
    }
    return 0;
}

static int metric_add(lua_State *L)
{
    return operate(L, metrics_add);
}

static int metric_set(lua_State *L)
{
    return operate(L, metrics_set);
}

static int metric_observe(lua_State *L)
{
    return operate(L, metrics_observe);
}

static int metric_value(lua_State *L)
{
    int id = (int)luaL_checkinteger(L, 1);
    lua_pushnumber(L, table && id >= 0 ? metrics_value(table, id) : 0);
    return 1;
}

static const struct api_fn rows[] = {
    {"metric", new_metric, API_ANY,
     "(kind: string, name: string, doc?: string, labels?: string[], bounds?: number[]): "
     "integer|nil, string|nil",
     "id of a series"},
    {"metric_add", metric_add, API_ANY, "(id: integer, by: number)", "counter or gauge"},
    {"metric_set", metric_set, API_ANY, "(id: integer, value: number)", "gauge"},
    {"metric_observe", metric_observe, API_ANY, "(id: integer, value: number)", "histogram"},
    {"metric_value", metric_value, API_ANY, "(id: integer): number", "over all workers"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_metrics = {"core", rows, NULL};

void api_metrics_open(script *s, lua_State *L)
{
    (void)s;
    api_register(L, &api_metrics);
}
