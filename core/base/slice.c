/* slice.c — bufq: a ring of slices that grows by doubling and is dropped when a connection goes
 * idle. */
#include "base/slice.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <unistd.h>

enum { BUFQ_FIRST_CAP = 8 };

fileref *fileref_new(int fd)
{
    fileref *f = malloc(sizeof *f);
    if (!f) {
        fatal("out of memory for a file reference");
    }
    *f = (fileref){1, fd};
    return f;
}

void fileref_unref(fileref *f)
{
    if (f && --f->refs == 0) {
        close(f->fd);
        free(f);
    }
}

static void slice_drop(const slice *s)
{
    mem_unref(s->mem);
    fileref_unref(s->file);
}

void bufq_clear(bufq *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        slice_drop(bufq_at(q, i));
    }
    q->head = q->n = 0;
    q->bytes = 0;
}

void bufq_reset(bufq *q)
{
    bufq_clear(q);
    free(q->v);
    bufq_init(q);
}

void bufq_shrink(bufq *q)
{
    if (q->n == 0 && q->v) {
        free(q->v);
        bufq_init(q);
    }
}

/* Room for one more slice. */
static void bufq_reserve(bufq *q)
{
    if (q->n < q->cap) {
        return;
    }
    uint32_t cap = q->v ? q->cap * 2 : BUFQ_FIRST_CAP;
    slice *v = malloc(cap * sizeof *v);
    if (!v) {
        fatal("out of memory for a queue of %u slices", cap);
    }
    for (uint32_t i = 0; i < q->n; i++) {
        v[i] = *bufq_at(q, i);
    }
    free(q->v);
    q->v = v;
    q->head = 0;
    q->cap = cap;
}

/* Joins `s` to the last slice when it continues the same chunk or file; its reference is then
 * spare. */
static bool bufq_merge(bufq *q, const slice *s)
{
    if (q->n == 0) {
        return false;
    }
    slice *last = bufq_at(q, q->n - 1);
    bool same_chunk = s->mem && last->mem == s->mem && last->p + last->n == s->p;
    bool same_file = s->file && last->file == s->file && last->off + (int64_t)last->n == s->off;
    if (!same_chunk && !same_file) {
        return false;
    }
    last->n += s->n;
    q->bytes += s->n;
    slice_drop(s);
    return true;
}

void bufq_push(bufq *q, slice s)
{
    if (s.n == 0) {
        slice_drop(&s);
        return;
    }
    if (bufq_merge(q, &s)) {
        return;
    }
    bufq_reserve(q);
    q->n++;
    *bufq_at(q, q->n - 1) = s;
    q->bytes += s.n;
}

void bufq_push_front(bufq *q, slice s)
{
    if (s.n == 0) {
        slice_drop(&s);
        return;
    }
    bufq_reserve(q);
    q->head = (q->head - 1) & (q->cap - 1);
    q->n++;
    *bufq_at(q, 0) = s;
    q->bytes += s.n;
}

void bufq_push_mem(bufq *q, mem *m, const char *p, size_t n)
{
    bufq_push(q, (slice){.p = p, .n = n, .mem = mem_ref(m)});
}

void bufq_push_static(bufq *q, str s)
{
    bufq_push(q, (slice){.p = s.p, .n = s.n});
}

/* Fills the room behind the last slice when nobody else can see that chunk. */
static size_t bufq_append(bufq *q, str s)
{
    if (q->n == 0) {
        return 0;
    }
    slice *last = bufq_at(q, q->n - 1);
    if (!last->mem || last->mem->refs != 1) {
        return 0;
    }
    size_t used = (size_t)(last->p - last->mem->data) + last->n;
    size_t room = last->mem->cap - used;
    size_t n = s.n < room ? s.n : room;
    memcpy(last->mem->data + used, s.p, n);
    last->n += n;
    q->bytes += n;
    return n;
}

void bufq_push_copy(bufq *q, str s)
{
    if (s.n == 0) {
        return;
    }
    s = str_from(s, bufq_append(q, s));
    while (s.n > 0) {
        mem *m = mem_new(s.n <= 4096 - sizeof(mem) ? MEM_4K : MEM_16K);
        size_t n = s.n < m->cap ? s.n : m->cap;
        memcpy(m->data, s.p, n);
        bufq_push(q, (slice){.p = m->data, .n = n, .mem = m});
        s = str_from(s, n);
    }
}

void bufq_push_file(bufq *q, fileref *f, int64_t off, size_t n)
{
    f->refs++;
    bufq_push(q, (slice){.n = n, .file = f, .off = off});
}

/* Takes the first slice out; the queue is not empty. */
static slice bufq_pop(bufq *q)
{
    slice s = *bufq_at(q, 0);
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    q->bytes -= s.n;
    return s;
}

void bufq_move(bufq *to, bufq *from)
{
    if (to->n == 0 && from->n > 0) {
        bufq spare = *to;
        *to = *from;
        *from = spare;
        return;
    }
    while (from->n > 0) {
        bufq_push(to, bufq_pop(from));
    }
}

/* The first `n` bytes of `s`, with a reference of their own. */
static slice slice_first(const slice *s, size_t n)
{
    slice part = *s;
    part.n = n;
    if (part.mem) {
        mem_ref(part.mem);
    }
    if (part.file) {
        part.file->refs++;
    }
    return part;
}

/* Cuts `n` < s->n bytes off the front. */
static void slice_advance(slice *s, size_t n)
{
    s->n -= n;
    if (s->file) {
        s->off += (int64_t)n;
    } else {
        s->p += n;
    }
}

size_t bufq_move_n(bufq *to, bufq *from, size_t max)
{
    size_t moved = 0;
    while (from->n > 0 && moved < max) {
        slice *first = bufq_at(from, 0);
        if (first->n <= max - moved) {
            moved += first->n;
            bufq_push(to, bufq_pop(from));
            continue;
        }
        size_t n = max - moved;
        slice part = slice_first(first, n);
        slice_advance(first, n);
        from->bytes -= n;
        bufq_push(to, part);
        moved = max;
    }
    return moved;
}

size_t bufq_keep_n(bufq *to, bufq *from, size_t max)
{
    size_t moved = 0;
    while (from->n > 0 && moved < max) {
        const slice *first = bufq_at(from, 0);
        size_t n = first->n < max - moved ? first->n : max - moved;
        if (first->p && !first->mem) {
            bufq_push_copy(to, str_of(first->p, n));
            bufq_drop(from, n);
        } else {
            (void)bufq_move_n(to, from, n);
        }
        moved += n;
    }
    return moved;
}

void bufq_drop(bufq *q, size_t n)
{
    while (n > 0) {
        REQUIRE(q->n > 0);
        slice *first = bufq_at(q, 0);
        if (first->n > n) {
            slice_advance(first, n);
            q->bytes -= n;
            return;
        }
        n -= first->n;
        slice gone = bufq_pop(q);
        slice_drop(&gone);
    }
}

size_t bufq_peek(const bufq *q, char *buf, size_t cap)
{
    size_t got = 0;
    for (uint32_t i = 0; i < q->n && got < cap; i++) {
        const slice *s = bufq_at(q, i);
        size_t n = s->n < cap - got ? s->n : cap - got;
        if (s->file) {
            ssize_t r = pread(s->file->fd, buf + got, n, s->off);
            if (r <= 0) {
                return got;
            }
            got += (size_t)r;
            if ((size_t)r < n) {
                return got;
            }
            continue;
        }
        memcpy(buf + got, s->p, n);
        got += n;
    }
    return got;
}
