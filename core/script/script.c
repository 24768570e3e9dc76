/* script.c — the facade: a generation's load, bind, activation and end. */
#include "script/script.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "script/api_conf.h"
#include "script/budget.h"
#include "script/hook.h"
#include "script/load.h"
#include "script/testing.h"
#include "shm/dict.h"
#include "shm/limit.h"
#include "shm/metrics.h"
#include "shm/seg.h"
#include "shm/stats.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIMIT_BYTES = 4 * 1024 * 1024, LIMIT_CONN_BYTES = 1024 * 1024, IDLE_GC_BYTES = 64 * 1024 };

/* -- load */

static void emit_to_log(void *arg, const struct script_diag *d)
{
    (void)arg;
    if (d->is_error) {
        log_error("%.*s", STR_ARG(d->text));
    } else {
        log_warn("%.*s", STR_ARG(d->text));
    }
}

static const struct script_diag_sink log_sink = {emit_to_log, NULL};

static void emit_text(const struct script_diag_sink *to, str text)
{
    struct script_diag d = {.is_error = true, .message = text, .text = text};
    to->emit(to->arg, &d);
}

static int int_item(lua_State *L, int table, int i)
{
    lua_rawgeti(L, table, i);
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

static void emit_all(lua_State *L, int diags, const struct script_diag_sink *to)
{
    int n = (int)lua_objlen(L, diags);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, diags, i);
        int d = lua_gettop(L);
        lua_rawgeti(L, d, 1);
        struct script_diag out = {.is_error = lua_toboolean(L, -1)};
        lua_pop(L, 1);
        out.file = load_text(L, d, 2);
        out.line = int_item(L, d, 3);
        out.column = int_item(L, d, 4);
        out.message = load_text(L, d, 5);
        out.text = load_text(L, d, 6);
        to->emit(to->arg, &out);
        lua_pop(L, 1);
    }
}

static void push_texts(lua_State *L, const char *const *texts, int n, const char *key)
{
    if (!n) {
        return;
    }
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, texts[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, key);
}

/* require("boot").load(args): diagnostics, model, hooks, inits, sources. */
static int call_boot(lua_State *L)
{
    const struct script_args *a = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "boot");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "load");
    lua_newtable(L);
    lua_pushstring(L, a->share);
    lua_setfield(L, -2, "share");
    if (a->path) {
        lua_pushstring(L, a->path);
        lua_setfield(L, -2, "path");
    }
    if (a->prefix) {
        lua_pushstring(L, a->prefix);
        lua_setfield(L, -2, "prefix");
    }
    push_texts(L, a->pairs, a->npairs, "run_args");
    push_texts(L, a->overrides, a->noverrides, "overrides");
    lua_call(L, 1, 5);
    return 5;
}

enum { AT_DIAGS = 1, AT_MODEL, AT_HOOKS, AT_INITS, AT_SOURCES };

static conf *take_all(script *s, const struct script_diag_sink *to)
{
    lua_State *L = s->L;
    char err[512];
    emit_all(L, AT_DIAGS, to);
    if (!lua_istable(L, AT_MODEL)) {
        return NULL;
    }
    conf *c = api_conf_build(L, AT_MODEL, err, sizeof err);
    if (!c) {
        emit_text(to, str_c(err));
        return NULL;
    }
    load_hooks(s, L, AT_HOOKS);
    load_inits(s, L, AT_INITS);
    load_sources(s, L, AT_SOURCES);
    s->cpu_ms = c->g.hook_cpu > 0 ? c->g.hook_cpu : INT_MAX;
    s->mem.limit = c->g.hook_memory > 0 ? (size_t)c->g.hook_memory : SIZE_MAX;
    return c;
}

static int boot_error(lua_State *L)
{
    if (lua_isstring(L, 1)) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    }
    return 1;
}

script *script_load(const struct script_args *a, conf **out, const struct script_diag_sink *to)
{
    *out = NULL;
    to = to ? to : &log_sink;
    script *s = vm_new(a);
    if (!s) {
        emit_text(to, STR("cannot make a Lua state: out of memory"));
        return NULL;
    }
    lua_State *L = s->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, boot_error);
    lua_pushcfunction(L, call_boot);
    lua_pushlightuserdata(L, (void *)(uintptr_t)a);
    s->mem.limited = true;
    int rc = lua_pcall(L, 1, 5, 1);
    s->mem.limited = false;
    if (rc != 0) {
        str text = vm_str(L, -1);
        emit_text(to, text.p ? text : STR("loading failed: the error is not a string"));
    } else {
        lua_remove(L, 1);
        *out = take_all(s, to);
    }
    lua_settop(L, 0);
    if (!*out) {
        vm_free(s);
        return NULL;
    }
    return s;
}

/* -- bind, activate, free */

int script_bind(script *s, plan *p)
{
    for (int i = 0; i < p->conf->g.sites.n; i++) {
        const struct conf_routes *routes = &p->conf->g.sites.v[i].routes;
        for (int k = 0; k < routes->n; k++) {
            const struct conf_route *r = &routes->v[k];
            if (r->hooks && (r->hook_id < 1 || r->hook_id >= s->nhooks)) {
                log_error("script: route %.*s: hook_id %lld is out of range", STR_ARG(r->label),
                          (long long)r->hook_id);
                return ERR_CONF;
            }
        }
    }
    s->plan = p;
    p->script = s;
    return 0;
}

static void start_inits(script *s)
{
    for (int i = 0; i < s->ninits && script_process.l; i++) {
        lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->inits[i].ref);
        task *t = task_spawn(s, s->L, 0, NULL);
        if (t) {
            board_policy_set(&t->shown, s->inits[i].policy);
        }
    }
}

static script *current;

void script_activate(script *s)
{
    if (current && current != s) {
        task_retire(current);
    }
    current = s;
    s->retired = false;
    budget_aim(s);
    start_inits(s);
    lua_gc(s->L, LUA_GCCOLLECT, 0); /* what only the load needed goes before requests come */
    s->gc_mark = s->mem.used;
}

void script_free(script *s)
{
    if (current == s) {
        current = NULL;
    }
    budget_forget(s);
    task_drop_all(s);
    vm_free(s);
}

void script_each_policy(const script *s, void (*fn)(void *arg, str name, str path, uint64_t hash),
                        void *arg)
{
    for (int i = 0; i < s->nsources; i++) {
        fn(arg, s->sources[i].name, s->sources[i].path, s->sources[i].hash);
    }
}

size_t script_memory(const script *s)
{
    return s->mem.used;
}

uint32_t script_tasks(const script *s)
{
    return s->nbusy;
}

/* -- process */

/* Garbage is collected while the loop has nothing else to do; a state near its limit is collected
 * whole. */
static void on_idle(void *arg)
{
    (void)arg;
    script *s = current;
    if (!s || s->mem.used < s->gc_mark + IDLE_GC_BYTES) {
        return;
    }
    if (s->mem.used > s->mem.limit / 4 * 3) {
        lua_gc(s->L, LUA_GCCOLLECT, 0);
    } else {
        lua_gc(s->L, LUA_GCSTEP, 0);
    }
    s->gc_mark = s->mem.used;
    stats_set(STAT_LUA_BYTES, s->mem.used);
}

int script_setup(const struct script_env *env)
{
    script_process.l = env->l;
    script_process.board = env->board;
    script_process.index = env->slot;
    script_process.slot = env->board ? board_slot_at(env->board, env->slot) : NULL;
    flow_hooks = &hook_flow;
    loop_on_idle(env->l, on_idle, NULL);
    return budget_setup();
}

void script_use_resolver(struct resolver *r)
{
    script_process.resolver = r;
}

static int open_segment(str name, size_t size, void (*fn)(void *arg, seg *s), void *arg, seg **out)
{
    int rc = seg_open(name, size, out);
    if (rc >= 0 && fn) {
        fn(arg, *out);
    }
    return rc < 0 ? rc : 0;
}

static int open_dicts(const conf *c, void (*fn)(void *arg, seg *s), void *arg, char *err,
                      size_t errcap)
{
    for (int i = 0; i < c->g.dicts.n; i++) {
        const struct conf_dict *d = &c->g.dicts.v[i];
        char name[SEG_NAME_MAX + 1];
        seg *s;
        dict *ignored;
        snprintf(name, sizeof name, "dict:%.*s", STR_ARG(d->name));
        int rc = open_segment(str_c(name), (size_t)d->size, fn, arg, &s);
        rc = rc < 0 ? rc : dict_open(s, &ignored);
        if (rc < 0) {
            snprintf(err, errcap, "shared dictionary '%.*s' of %lld bytes: %s", STR_ARG(d->name),
                     (long long)d->size,
                     rc == ERR_INVALID ? "the name is too long or the size below 20 KiB"
                                       : err_text(rc));
            return rc;
        }
    }
    return 0;
}

int script_segments(const conf *c, uint32_t workers, void (*fn)(void *arg, seg *s), void *arg,
                    char *err, size_t errcap)
{
    seg *s;
    limit *rates;
    limit_conn *conns;
    metrics *table;
    int rc = open_dicts(c, fn, arg, err, errcap);
    if (rc < 0) {
        return rc;
    }
    if ((rc = open_segment(STR("limit"), LIMIT_BYTES, fn, arg, &s)) < 0 ||
        (rc = limit_open(s, &rates)) < 0 ||
        (rc = open_segment(STR("limit_conn"), LIMIT_CONN_BYTES, fn, arg, &s)) < 0 ||
        (rc = limit_conn_open(s, workers, &conns)) < 0 ||
        (rc = open_segment(STR("metrics"), metrics_bytes(workers, SCRIPT_METRICS_SERIES), fn, arg,
                           &s)) < 0 ||
        (rc = metrics_open(s, workers, SCRIPT_METRICS_SERIES, &table)) < 0) {
        snprintf(err, errcap, "shared memory of hooks: %s", err_text(rc));
    }
    return rc;
}

static bool has_boot(const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/lua/boot.lua", dir);
    return access(path, R_OK) == 0;
}

const char *script_find_share(void)
{
    static char found[PATH_MAX];
    if (found[0]) {
        return found;
    }
    const char *env = getenv("MOONGATE_SHARE");
    ssize_t n = readlink("/proc/self/exe", found, sizeof found - 32);
    if (env && has_boot(env)) {
        snprintf(found, sizeof found, "%s", env);
        return found;
    }
    /* build/moongate, build/<flavour>/moongate, and PREFIX/bin/moongate beside
     * PREFIX/share/moongate */
    for (char *slash; n > 0 && (slash = strrchr(found, '/')) != NULL && slash != found;) {
        *slash = '\0';
        if (has_boot(found)) {
            return found;
        }
        size_t at = strlen(found);
        snprintf(found + at, sizeof found - at, "/share/moongate");
        if (has_boot(found)) {
            return found;
        }
        found[at] = '\0';
    }
    snprintf(found, sizeof found, "%s", MG_SHARE_DIR);
    if (has_boot(found)) {
        return found;
    }
    found[0] = '\0';
    return NULL;
}

/* -- command line */

static int call_cli(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, testing_open);
    lua_setfield(L, -2, "moongate.testing"); /* for `moongate test` */
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "main");
    lua_newtable(L);
    for (int i = 0; argv[i]; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_call(L, 1, 1);
    return 1;
}

int script_cli(const char *share, int argc, char **argv)
{
    struct script_args a = {.share = share, .memory = SIZE_MAX};
    script *s = vm_new(&a);
    if (!s || argc < 0) {
        return 1;
    }
    lua_State *L = s->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, boot_error);
    lua_pushcfunction(L, call_cli);
    lua_pushlightuserdata(L, argv);
    int status = 1;
    if (lua_pcall(L, 1, 1, 1) != 0) {
        fprintf(stderr, "moongate: %s\n", lua_tostring(L, -1));
    } else {
        status = lua_isnumber(L, -1) ? (int)lua_tointeger(L, -1)
                                     : lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    }
    script_free(s);
    return status;
}
