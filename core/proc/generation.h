/* generation.h — a configuration in a worker: model, Lua state and plan, made from a bundle and
 * nothing else.
 *
 * Glossary. current: what new requests get. warm: the one before, kept for a flip back until it is
 * settled. prepared: loaded, waiting for the commit. pinned: not current any more, but requests or
 * tunnels in flight hold its plan; freed when the last one ends. */
#ifndef PROC_GENERATION_H
#define PROC_GENERATION_H

#include "back/group.h"
#include "flow/plan.h"
#include "net/loop.h"
#include "proc/bundle.h"
#include "proc/recipe.h"
#include "script/script.h"

typedef struct generation {
    list node; /* among all living ones of the process, oldest first */
    uint64_t number;
    bundle *bundle; /* reference */
    conf *conf;
    script *script;
    plan *plan; /* our one reference while `held`; the requests have theirs */
    loop *l;
    job free_job;
    bool held;
    int64_t born_ms;
} generation;

/* Loads from the bundle: parse, check, run `new`, compile. NULL with the diagnostics in err. */
MUST_USE generation *generation_new(loop *l, const recipe *r, bundle *b, uint64_t number, char *err,
                                    size_t errcap);
/* Makes it the one that upstream groups and the hook budget follow; may be repeated for a flip
 * back. 0, or < 0 with a text in err. */
MUST_USE int generation_commit(generation *g, group_set *groups, char *err, size_t errcap);
/* Lets go: it is freed when no request holds it, in a turn of the loop of its own. */
void generation_release(generation *g);
/* References besides ours: the front's while it is in force, requests and tunnels in flight,
 * connections of listeners that are gone. */
uint32_t generation_refs(const generation *g);
void generation_each(void (*fn)(generation *g, void *arg), void *arg);

/* Reads through the bundle only. */
struct script_reader generation_reader(bundle *b);
struct script_args generation_load_args(const recipe *r, const struct script_reader *reader,
                                        uint64_t number);

#endif
