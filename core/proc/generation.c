/* generation.c — see generation.h. The last unref of a plan may come out of the middle of a request
 * or a coroutine, so the Lua state is never closed there: a job does it. */
#include "proc/generation.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fmt.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static list generation_all = {&generation_all, &generation_all}; /* of this process */

static int generation_read(void *arg, str path, pool *p, str *out)
{
    (void)p; /* the mapping outlives the generation */
    if (bundle_find(arg, BUNDLE_FILE, path, out)) {
        return 0;
    }
    *out = STR("not part of this generation");
    return ERR_NOT_FOUND;
}

static int generation_glob(void *arg, str pattern, pool *p, str *out)
{
    (void)p;
    if (!bundle_find(arg, BUNDLE_LIST, pattern, out)) {
        *out = STR_EMPTY;
    }
    return 0;
}

static int generation_env(void *arg, str name, pool *p, str *out)
{
    (void)p;
    return bundle_find(arg, BUNDLE_ENV, name, out) ? 0 : ERR_NOT_FOUND;
}

struct script_reader generation_reader(bundle *b)
{
    return (struct script_reader){generation_read, generation_glob, generation_env, b};
}

struct script_args generation_load_args(const recipe *r, const struct script_reader *reader,
                                        uint64_t number)
{
    return (struct script_args){
        .share = r->share,
        .reader = reader,
        .path = r->path,
        .prefix = r->prefix,
        .pairs = r->pairs,
        .npairs = r->npairs,
        .overrides = r->overrides,
        .noverrides = r->noverrides,
        .generation = number,
    };
}

static void generation_emit(void *arg, const struct script_diag *d)
{
    fmt *f = arg;
    if (d->is_error) {
        if (f->p > f->base) {
            fmt_char(f, '\n');
        }
        fmt_put(f, d->text.n ? d->text : d->message);
    }
}

static void generation_destroy(generation *g)
{
    list_remove(&g->node);
    if (g->script) {
        script_free(g->script);
    }
    if (g->conf) {
        conf_free(g->conf);
    }
    bundle_unref(g->bundle);
    free(g);
}

static void generation_run_free(job *j)
{
    generation *g = container_of(j, generation, free_job);
    log_info("generation %llu freed", (unsigned long long)g->number);
    generation_destroy(g);
}

static void generation_on_plan_free(void *owner)
{
    generation *g = owner;
    g->plan = NULL;
    job_wake(g->l, &g->free_job);
}

static bool generation_build(generation *g, const recipe *r, char *err, size_t errcap)
{
    fmt text = fmt_of(err, errcap - 1);
    struct script_reader reader = generation_reader(g->bundle);
    struct script_args args = generation_load_args(r, &reader, g->number);
    struct script_diag_sink sink = {generation_emit, &text};
    g->script = script_load(&args, &g->conf, &sink);
    *text.p = 0;
    if (!g->script) {
        return false;
    }
    g->plan = plan_new(g->conf, g->number, err, errcap);
    if (!g->plan) {
        return false;
    }
    if (script_bind(g->script, g->plan) < 0) {
        snprintf(err, errcap, "the routes name hooks that no policy has");
        return false;
    }
    return true;
}

generation *generation_new(loop *l, const recipe *r, bundle *b, uint64_t number, char *err,
                           size_t errcap)
{
    generation *g = calloc(1, sizeof *g);
    REQUIRE(g);
    g->number = number;
    g->bundle = bundle_ref(b);
    g->l = l;
    g->born_ms = clock_ms();
    job_init(&g->free_job, generation_run_free);
    list_push_back(&generation_all, &g->node);
    if (!generation_build(g, r, err, errcap)) {
        if (g->plan) {
            plan_unref(g->plan);
        }
        generation_destroy(g);
        return NULL;
    }
    g->plan->on_free = generation_on_plan_free;
    g->plan->owner = g;
    g->held = true;
    return g;
}

int generation_commit(generation *g, group_set *groups, char *err, size_t errcap)
{
    int rc = plan_attach(g->plan, groups, err, errcap);
    if (rc == 0) {
        script_activate(g->script);
    }
    return rc;
}

void generation_release(generation *g)
{
    if (g && g->held) {
        g->held = false;
        plan_unref(g->plan);
    }
}

uint32_t generation_refs(const generation *g)
{
    return g->plan ? g->plan->refs - (g->held ? 1 : 0) : 0;
}

void generation_each(void (*fn)(generation *g, void *arg), void *arg)
{
    LIST_EACH(it, &generation_all)
    {
        fn(list_item(it, generation, node), arg);
    }
}
