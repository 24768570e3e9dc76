/* task.h — coroutines: one for each request that runs hooks (it stays with the request for all its
 * phases), one for each subtask (mg.spawn) and background task. They come from a free list.
 *
 * Waiting: a C function that must wait calls task_park with what it waits for and yields. Whoever
 * makes it ready calls task_wake; the task's job (or its request's) then asks `poll`, which pushes
 * the results. A wait that somebody else bounds (the client's body: flow's timer) gives no deadline
 * of its own; every other one does.
 *
 * Glossary. main task: r->script, runs the phases. subtask: works for a request beside its main
 * task, ends with the request. background task: has no request, keeps its plan alive. */
#ifndef SCRIPT_TASK_H
#define SCRIPT_TASK_H

#include "net/timer.h"
#include "script/vm.h"

typedef struct req req;
typedef struct task task;

struct wait_ops {
    const char *kind; /* "mg.sleep", "req:body"… for status */
    bool is_idle;     /* waits for time only */
    /* Asked after each wake: number of values it pushed on co (>= 0), or ERR_AGAIN. Must not raise.
     */
    int (*poll)(task *t, lua_State *co);
    /* The task goes away while it waits. NULL: nothing to undo. */
    void (*cancel)(task *t);
};

enum task_state { TASK_IDLE, TASK_RUNNING, TASK_PARKED };
enum { TASK_DONE = 0, TASK_WAITS = 1, TASK_FAILED = 2 };

struct task {
    list node; /* script.spare or script.busy */
    script *s;
    lua_State *co;
    int ref;           /* of co in the registry */
    uint8_t state;     /* enum task_state */
    uint8_t phase;     /* main task: the phase it is in, else PHASE_COUNT */
    bool timed_out;    /* the wait's deadline passed */
    bool started;      /* subtask, background: its function was called */
    bool budget_hit;   /* the last failure was the CPU budget */
    req *r;            /* NULL: background */
    struct plan *plan; /* background: a reference */
    task *parent;      /* subtask: the request's main task */
    list children;     /* main task: subtasks */
    list sibling;
    job job; /* subtask, background */
    timer timer;
    const struct wait_ops *wait;
    void *wait_arg;
    int64_t wait_since_ms;
    /* -- phases (main task) */
    const hook_list *list;
    int at;             /* index of the hook that runs */
    int verdict;        /* HOOK_*: what the hooks decided so far */
    int ctx_ref;        /* LUA_NOREF: no ctx was asked for yet */
    bool header_failed; /* its header phase failed once */
    /* -- subtask and background */
    board_policy shown;                   /* for the watchdog */
    void (*on_end)(task *t, int outcome); /* results (or the error) are on co */
    void *owner;                          /* on_end's */
    int nargs;                            /* function and arguments wait on co */
};

/* What script_setup was given; one per process, set once. */
struct script_process {
    loop *l;
    board *board;
    board_slot *slot;
    uint32_t index;
    struct resolver *resolver; /* of hooks' connections; NULL: addresses only */
};
extern struct script_process script_process;

enum { SCRIPT_WORKERS_ALONE = 8, SCRIPT_METRICS_SERIES = 4096 };
/* Columns of limit_conn: slots of the board, or a few where there is none (specs). */
static inline uint32_t script_workers(void)
{
    return script_process.board ? board_slots(script_process.board) : SCRIPT_WORKERS_ALONE;
}

/* The task whose code runs now; NULL outside of policy code. */
extern task *task_current;

/* A task of s, idle. */
task *task_get(script *s);
/* Gives it back; whatever it waited for is cancelled, its subtasks end. */
void task_put(task *t);
/* Runs: the function and `nargs` arguments (first time) or the results of the wait are on co. */
int task_resume(task *t, int nargs);
/* A parked task was woken: polls, resumes. TASK_WAITS while it is not ready. */
int task_continue(task *t);
/* After TASK_FAILED: a fresh coroutine. */
void task_renew(task *t);
/* From a C function: waits. `return task_park(…);`. Raises when it is not the task's own coroutine
 * that runs. deadline_ms < 0: none of its own. */
int task_park(lua_State *L, const struct wait_ops *ops, void *arg, int64_t deadline_ms);
/* Makes the task (or its request) runnable. */
void task_wake(task *t);
/* A task with the function and nargs arguments that are on top of L, moved; runs from the loop.
 * `parent` NULL: background. NULL: too many. */
MUST_USE task *task_spawn(script *s, lua_State *L, int nargs, task *parent);
/* The main task whose request this works for, or NULL. */
static inline task *task_main(task *t)
{
    return t->parent ? t->parent : t->r ? t : NULL;
}
/* Another generation took over: background tasks that sleep end now, others at their next wait for
 * time. */
void task_retire(script *s);
/* Drops everything that still runs (the state is about to close). */
void task_drop_all(script *s);

#endif
