/* filter_lua.c — pieces in, through the hooks one after the other, pieces out. */
#include "script/filter_lua.h"

#include "base/err.h"
#include "base/mem.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "http/sink.h"
#include "script/hook.h"

#include <unistd.h>

enum { PIECE_MAX = 65536 };

struct filter {
    sink base;
    sink *next;
    req *r;
    bufq in;    /* taken, not yet shown to the hooks */
    bufq out;   /* done, not yet taken by `next` */
    mem *piece; /* what the hooks see now; NULL: nothing, or an empty piece */
    size_t piece_n;
    bool busy;    /* a piece is on its way through the hooks */
    bool last;    /* …and it is the last */
    bool in_last; /* the end was given to us */
    bool done;    /* the end left the hooks */
    bool sent_last;
    uint64_t off; /* bit per hook that failed with on_error continue */
};

static void set_piece(struct filter *f, mem *m, size_t n)
{
    mem_unref(f->piece);
    f->piece = m;
    f->piece_n = n;
}

/* The next piece, flat and ours: hooks' strings are copies anyway, so a queue of slices is no gain
 * here. */
static int next_piece(struct filter *f)
{
    size_t n = f->in.bytes < PIECE_MAX ? f->in.bytes : PIECE_MAX;
    mem *m = NULL;
    if (n) {
        m = mem_try_new(n);
        if (!m) {
            return ERR_MEM;
        }
        n = bufq_peek(&f->in, m->data, n);
        if (n == 0) {
            mem_unref(m);
            return ERR_IO; /* the spill file cannot be read */
        }
        bufq_drop(&f->in, n);
    }
    set_piece(f, m, n);
    f->last = f->in_last && bufq_is_empty(&f->in);
    f->busy = true;
    return 0;
}

static int start(struct filter *f, task *t)
{
    const hook_entry *e = &t->list->v[t->at];
    if (f->off & (1ull << (t->at & 63))) {
        return TASK_DONE;
    }
    if (UNLIKELY(hook_is_quarantined(t->s, e))) {
        return e->deny ? ERR_SCRIPT : TASK_DONE;
    }
    int n = hook_push(t);
    vm_push(t->co, (str){f->piece ? f->piece->data : "", f->piece_n});
    lua_pushboolean(t->co, f->last);
    return task_resume(t, n + 2 + hook_push_ctx(t, e));
}

/* A replacement, "" or nothing. */
static int take_result(struct filter *f, task *t)
{
    lua_State *co = t->co;
    int type = lua_gettop(co) ? lua_type(co, 1) : LUA_TNIL;
    if (type == LUA_TNIL) {
        lua_settop(co, 0);
        return TASK_DONE;
    }
    if (type != LUA_TSTRING) {
        lua_pushfstring(co, "the body hook returned a %s; it returns a string or nothing",
                        lua_typename(co, type));
        return TASK_FAILED;
    }
    str s = vm_str(co, 1);
    mem *m = s.n ? mem_try_new(s.n) : NULL;
    if (s.n && !m) {
        return ERR_MEM;
    }
    if (m) {
        memcpy(m->data, s.p, s.n);
    }
    set_piece(f, m, s.n);
    lua_settop(co, 0);
    return TASK_DONE;
}

/* Runs the piece through the rest of the hooks: 0, ERR_AGAIN, < 0. */
static int run_piece(struct filter *f, task *t, int outcome)
{
    for (;;) {
        if (outcome == TASK_WAITS) {
            return ERR_AGAIN;
        }
        if (outcome == TASK_DONE) {
            outcome = take_result(f, t);
        }
        if (outcome < 0) {
            return outcome;
        }
        if (outcome == TASK_FAILED) {
            int rc = hook_failed(t);
            if (rc < 0) {
                return rc;
            }
            f->off |= 1ull << (t->at & 63);
        }
        if (++t->at >= t->list->n || (!f->piece_n && !f->last)) {
            break;
        }
        outcome = start(f, t);
    }
    if (f->piece_n) {
        bufq_push_mem(&f->out, f->piece, f->piece->data, f->piece_n);
    }
    set_piece(f, NULL, 0);
    f->busy = false;
    f->done = f->last;
    return 0;
}

static int advance(struct filter *f)
{
    task *t = hook_task(f->r);
    if (f->busy) {
        if (t->state != TASK_PARKED) {
            return ERR_SCRIPT;
        }
        return run_piece(f, t, task_continue(t));
    }
    int rc = next_piece(f);
    if (rc < 0) {
        return rc;
    }
    t->phase = PHASE_BODY;
    t->list = &t->s->hooks[f->r->route->hook_id].phase[PHASE_BODY];
    t->at = 0;
    t->verdict = HOOK_NEXT;
    return run_piece(f, t, start(f, t));
}

static int give(struct filter *f)
{
    bool end = f->done && !f->sent_last;
    if (bufq_is_empty(&f->out) && !end) {
        return 0;
    }
    int rc = sink_push(f->next, &f->out, f->done ? SINK_LAST : SINK_FLUSH);
    if (rc == 0 && f->done) {
        f->sent_last = true;
    }
    return rc;
}

static int push(sink *base, bufq *q, unsigned flags)
{
    struct filter *f = container_of(base, struct filter, base);
    bool draining = f->busy || !bufq_is_empty(&f->out) || !bufq_is_empty(&f->in);
    if (!draining || flags & SINK_LAST) {
        bufq_move(&f->in, q);
        f->in_last = f->in_last || (flags & SINK_LAST);
    }
    for (;;) {
        int rc = give(f);
        if (rc < 0) {
            return rc;
        }
        bool more = f->busy || !bufq_is_empty(&f->in) || (f->in_last && !f->done);
        if (!more) {
            if (bufq_is_empty(q)) {
                return 0;
            }
            bufq_move(&f->in, q);
            continue;
        }
        rc = advance(f);
        if (rc < 0) {
            return rc;
        }
    }
}

static void filter_abort(sink *base, int err)
{
    struct filter *f = container_of(base, struct filter, base);
    bufq_clear(&f->in);
    bufq_clear(&f->out);
    sink_abort(f->next, err);
}

static void filter_fini(void *arg)
{
    struct filter *f = arg;
    bufq_fini(&f->in);
    bufq_fini(&f->out);
    set_piece(f, NULL, 0);
}

static const struct sink_ops ops = {.push = push, .abort = filter_abort};

sink *filter_lua_new(req *r, sink *next)
{
    struct filter *f = pool_zalloc(&r->pool, sizeof *f);
    f->base.ops = &ops;
    f->next = next;
    f->r = r;
    bufq_init(&f->in);
    bufq_init(&f->out);
    pool_on_fini(&r->pool, filter_fini, f);
    return &f->base;
}
