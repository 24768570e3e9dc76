/* script.h — the Lua side of a generation, as proc/ sees it: load a configuration and its policies,
 * bind the hooks to a compiled plan, free everything. No Lua type appears here.
 *
 *   master (validation child): script_load → conf + diagnostics → script_free
 *   worker, once:              script_setup
 *   worker, per generation:    script_load (replay reader) → plan_new(conf) → script_bind(s, plan)
 * → script_activate(s) at commit → script_free when the last plan reference went
 *
 * A script owns its lua_State only. The conf it returned is the caller's and must outlive the plan.
 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include "base/pool.h"

typedef struct conf conf;
typedef struct loop loop;
typedef struct script script;
struct plan;
struct board;

/* Where a load gets its bytes from: the disk (script_reader_disk), a recorder in front of it, or a
 * bundle. Everything a generation consists of passes here: configuration files, policies, required
 * Lua modules, file "…", certificates, environment variables. C modules (cjson) do not. */
struct script_reader {
    /* The whole file, in `p`. 0; or ERR_* with the reason as text in *out ("permission denied").
     * Absent files are ERR_NOT_FOUND; a search path makes many such calls. */
    int (*read)(void *arg, str path, pool *p, str *out);
    /* Paths that match a pattern (glob(7)), sorted, one per line. 0 or ERR_*. */
    int (*glob)(void *arg, str pattern, pool *p, str *out);
    /* An environment variable; "host:NAME": the addresses of a host, as the system knows them now. 0 or ERR_NOT_FOUND. */
    int (*env)(void *arg, str name, pool *p, str *out);
    void *arg;
};

extern const struct script_reader script_reader_disk;

struct script_diag {
    bool is_error; /* else a warning or note */
    str file;      /* empty: unknown */
    int line, column;
    str message; /* one line */
    str text;    /* ready to print: position, message, source excerpt; no final newline */
};

struct script_diag_sink {
    void (*emit)(void *arg, const struct script_diag *d); /* d is borrowed until return */
    void *arg;
};

struct script_args {
    const char *share; /* the folder that holds lua/ and scripts/ (script_find_share) */
    const struct script_reader *reader; /* NULL: the disk */
    const char *path;                   /* configuration file, or NULL with `pairs` */
    const char *prefix;                 /* -p; NULL: none */
    const char *const *pairs;           /* "HOST=URL" arguments of `run`, instead of a file */
    int npairs;
    const char *const *overrides; /* -g texts (nginx dialect), in order */
    int noverrides;
    uint64_t generation;
    size_t memory; /* bytes the Lua state may take while loading; 0: 256 MiB */
};

/* Loads, checks, runs every policy's `new`. NULL when there is an error; every error and warning
 * goes to the sink (a NULL sink logs them). *out is the caller's (conf_free); NULL on failure. */
MUST_USE script *script_load(const struct script_args *a, conf **out,
                             const struct script_diag_sink *sink);
/* plan->script = s; reports a plan whose routes name hooks that s has not. 0 or ERR_CONF. */
MUST_USE int script_bind(script *s, struct plan *p);
/* Commit in a worker: from now on s is the current generation: the interrupt flag is planted in its
 * compiled code, its `init` hooks run as tasks. The one before is retired: its background tasks end
 * where they sleep, so that they do not pin it. After a rollback call it again with the old one. */
void script_activate(script *s);
/* Cancels what is left of its tasks and closes the state. No request may refer to it any more. */
void script_free(script *s);

/* What this generation is made of, for status pages: fn(name, source path, hash of its source). */
void script_each_policy(const script *s, void (*fn)(void *arg, str name, str path, uint64_t hash),
                        void *arg);
/* Bytes of the Lua state; coroutines alive (parked or running). */
size_t script_memory(const script *s);
uint32_t script_tasks(const script *s);

struct script_env {
    loop *l;
    struct board *board; /* NULL: no watchdog slot */
    uint32_t slot;       /* of this worker in board, stats, metrics and limit_conn */
};

/* Once per worker, after the fork: starts the CPU clock of hooks and fills flow_hooks. Frees with
 * the process. 0 or ERR_*. */
MUST_USE int script_setup(const struct script_env *env);
/* Whose names the connections of hooks resolve with; borrowed. */
struct resolver;
void script_use_resolver(struct resolver *r);

/* The shared segments hooks use: "dict:<name>" for every conf dict, "limit", "limit_conn",
 * "metrics". Master, before the fork and for every new conf; existing ones of the same size are
 * found again. `workers` = board slots. fn (may be NULL) is told of each, so that new ones can be
 * sent to living workers (seg_fd). 0, or ERR_* with a text in err. */
struct seg;
MUST_USE int script_segments(const conf *c, uint32_t workers, void (*fn)(void *arg, struct seg *s),
                             void *arg, char *err, size_t errcap);

/* The folder that holds lua/ and scripts/: beside the binary in the tree, below the prefix when
 * installed, or MOONGATE_SHARE. Static text; NULL with nothing found. */
const char *script_find_share(void);

/* Subcommands written in Lua (check, schema, export, import, test…): runs lua/cli/init.lua's
 * main(argv). The process' exit status. */
int script_cli(const char *share, int argc, char **argv);

#endif
