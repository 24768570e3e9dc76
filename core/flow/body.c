/* body.c — the request body between the client's protocol and whoever wants it (uploader, hook).
 *
 * Streaming: bytes are pulled from the protocol only when asked for, so a slow upstream slows the client. Holding: bytes are taken into memory up to the
 * route's bound, then into an unlinked file; what is held can be read again, which makes a request repeatable. */
#include "flow/body.h"

#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/tempfile.h"

#include <unistd.h>

enum { PIECE = 256 * 1024, HOLD_TURNS = 16 };

struct body {
    bufq held;        /* in order; memory slices, then file slices */
    tempfile file;
    int64_t taken;    /* bytes pulled from the protocol */
    int64_t in_memory;
    bool complete;    /* the protocol said EOF */
    bool holding;     /* everything goes through `held` */
    bool replaced;    /* `held` is all there is: what the client still sends is read away after the answer */
    bool streamed;    /* bytes were given away without being kept */
    str name;         /* of its file, when that has one */
    uint32_t next;    /* index of the next slice of `held` to give */
    size_t next_at;   /* bytes of it already given */
};

static void on_fini(void *arg)
{
    body *b = arg;
    bufq_fini(&b->held);
    tempfile_fini(&b->file);
}

body *body_new(req *r)
{
    body *b = pool_zalloc(&r->pool, sizeof *b);
    bufq_init(&b->held);
    tempfile_init(&b->file);
    pool_on_fini(&r->pool, on_fini, b);
    return b;
}

static ssize_t pull(req *r, bufq *q, size_t max)
{
    body *b = r->body;
    if (b->complete) {
        return ERR_EOF;
    }
    if (!r->proto) {
        return ERR_CLIENT_GONE;
    }
    ssize_t n = r->proto->read_body(r, q, max);
    if (n == ERR_EOF) {
        b->complete = true;
        return n;
    }
    if (n > 0) {
        b->taken += n;
        r->received += (uint64_t)n;
        int64_t limit = r->route ? r->route->c->body_limit : 0;
        if (limit && b->taken > limit) {
            return ERR_BODY_TOO_LARGE;
        }
    }
    return n;
}

static str dir_of(const req *r)
{
    str own = r->route->c->body_dir;
    return own.p ? own : r->plan->conf->g.temp_dir;
}

static void on_remove(void *arg)
{
    (void)unlink(((const body *)arg)->name.p);
}

/* The route wants a file of every body, with a name that others can open. */
static int open_named(req *r)
{
    body *b = r->body;
    int rc = tempfile_open_named(&b->file, dir_of(r), &r->pool, &b->name);
    if (rc == 0 && r->route->c->body_in_file == CONF_BODY_FILE_CLEAN) {
        pool_on_fini(&r->pool, on_remove, b);
    }
    return rc;
}

static int keep(req *r, bufq *q)
{
    body *b = r->body;
    if (UNLIKELY(r->route->c->body_in_file)) {
        int rc = b->name.p ? 0 : open_named(r);
        return rc < 0 ? rc : tempfile_append(&b->file, dir_of(r), q, &b->held);
    }
    if (b->in_memory + (int64_t)q->bytes <= r->route->c->buffer_request_memory) {
        b->in_memory += (int64_t)q->bytes;
        bufq_move(&b->held, q);
        return 0;
    }
    return tempfile_append(&b->file, dir_of(r), q, &b->held);
}

int body_hold(req *r)
{
    body *b = r->body;
    b->holding = true;
    for (int turn = 0; !b->complete && !b->replaced; turn++) {
        if (turn == HOLD_TURNS) {
            req_wake(r); /* one fast client must not hold the loop */
            return ERR_AGAIN;
        }
        bufq q;
        bufq_init(&q);
        ssize_t n = pull(r, &q, PIECE);
        int rc = n > 0 ? keep(r, &q) : (int)n;
        bufq_fini(&q);
        if (rc < 0 && rc != ERR_EOF) {
            return rc;
        }
    }
    bool wants_file = r->route->c->body_in_file && !b->name.p && !b->replaced; /* of an empty body too */
    return wants_file ? open_named(r) : 0;
}

int body_hold_if_here(req *r)
{
    body *b = r->body;
    while (!b->complete && !b->holding) {
        size_t room = (size_t)(r->route->c->buffer_request_memory - b->in_memory);
        ssize_t n = room ? pull(r, &b->held, room) : ERR_AGAIN;
        if (n == ERR_AGAIN) {
            return 0;
        }
        if (n < 0 && n != ERR_EOF) {
            return (int)n;
        }
        b->in_memory += n > 0 ? n : 0;
    }
    b->holding = true;
    return 0;
}

int body_discard_here(req *r)
{
    body *b = r->body = r->body ? r->body : body_new(r);
    ssize_t n = 1;
    for (int turn = 0; turn < HOLD_TURNS && n > 0; turn++) {
        bufq q;
        bufq_init(&q);
        n = pull(r, &q, PIECE);
        bufq_fini(&q);
        b->streamed = b->streamed || n > 0;
    }
    return n == ERR_BAD_CHUNK || n == ERR_BAD_TRAILER ? (int)n : 0;
}

static void push_ref(bufq *q, const slice *s, size_t at, size_t n)
{
    if (!s->p) {
        bufq_push_file(q, s->file, s->off + (int64_t)at, n);
    } else if (s->mem) {
        bufq_push_mem(q, s->mem, s->p + at, n);
    } else {
        bufq_push_static(q, str_of(s->p + at, n));
    }
}

/* Gives held bytes without letting go of them. */
static ssize_t read_held(body *b, bufq *q, size_t max)
{
    size_t moved = 0;
    while (b->next < b->held.n && moved < max) {
        const slice *s = bufq_at(&b->held, b->next);
        size_t n = s->n - b->next_at;
        n = n < max - moved ? n : max - moved;
        push_ref(q, s, b->next_at, n);
        moved += n;
        b->next_at += n;
        if (b->next_at == s->n) {
            b->next++;
            b->next_at = 0;
        }
    }
    return moved ? (ssize_t)moved : ERR_EOF;
}

ssize_t body_read(req *r, bufq *q, size_t max)
{
    body *b = r->body;
    if (b->next < b->held.n) {
        return read_held(b, q, max);
    }
    if (b->replaced) {
        return ERR_EOF;
    }
    ssize_t n = pull(r, q, max);
    if (n > 0) {
        b->streamed = true;
    }
    return n;
}

int64_t body_size(const body *b)
{
    return b->holding && (b->complete || b->replaced) ? (int64_t)b->held.bytes : -1;
}

int body_text(req *r, size_t max, str *out)
{
    body *b = r->body;
    if (body_size(b) < 0) {
        return ERR_INVALID;
    }
    if (b->held.bytes > max) {
        return ERR_LIMIT;
    }
    char *text = pool_try_alloc(&r->pool, b->held.bytes + 1, SIZE_MAX);
    if (!text) {
        return ERR_MEM;
    }
    size_t n = bufq_peek(&b->held, text, b->held.bytes);
    *out = str_of(text, n);
    return n == b->held.bytes ? 0 : ERR_IO;
}

void body_replace(req *r, str bytes)
{
    body *b = r->body;
    if (!b) {
        b = r->body = body_new(r);
        b->complete = true;
    }
    bufq_clear(&b->held);
    if (bytes.n) {
        bufq_push_static(&b->held, bytes);
    }
    b->holding = b->replaced = true;
    b->next = 0;
    b->next_at = 0;
}

void body_share(const req *r, req *to)
{
    const bufq *held = &r->body->held;
    body_replace(to, STR_EMPTY);
    bufq *q = &to->body->held;
    for (uint32_t i = 0; i < held->n; i++) {
        const slice *s = bufq_at(held, i);
        if (s->p && !s->mem) {
            bufq_push_copy(q, str_of(s->p, s->n)); /* it lives as long as the other request */
        } else {
            push_ref(q, s, 0, s->n);
        }
    }
}

bool body_is_replayable(const body *b)
{
    return !b->streamed;
}

bool body_is_held(const body *b)
{
    return b->holding;
}

bool body_is_in_file(const body *b)
{
    return b->file.file != NULL;
}

str body_file(req *r)
{
    body *b = r->body;
    if (!b->name.p && b->file.file && tempfile_name(&b->file, dir_of(r), &r->pool, &b->name) == 0) {
        pool_on_fini(&r->pool, on_remove, b);
    }
    return b->name;
}

bool body_is_given(const body *b)
{
    return b->holding && (b->complete || b->replaced) && b->next == b->held.n;
}

void body_rewind(body *b)
{
    b->next = 0;
    b->next_at = 0;
}

bool body_is_consumed(const req *r)
{
    return !r->body || r->body->complete;
}
