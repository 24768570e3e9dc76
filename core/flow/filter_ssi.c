/* filter_ssi.c — see filter_ssi.h. */
#include "flow/filter_ssi.h"

#include "base/err.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/filter.h"
#include "flow/plan.h"
#include "flow/ssi.h"
#include "flow/ssi_tag.h"
#include "flow/subreq.h"
#include "http/sink.h"

enum { TAG_MAX = 8192, BLOCK_MAX = 64 * 1024, BLOCKS_MAX = 16, DEPTH_MAX = 16, QUEUE_MAX = 64 * 1024, SET_MAX = 256 * 1024 };

struct block {
    str name, text;
};

typedef struct ssi_filter {
    sink sink;
    req *r;
    sink *next;
    bufq in;           /* not read yet */
    bufq out;          /* waits to be taken */
    bool last, ended;
    uint8_t matched;   /* bytes of "<!--#" */
    bool in_tag;
    char quote;        /* in_tag: the value that is open */
    bool escaped;
    size_t tag_n;      /* beyond TAG_MAX: only its end is looked for */
    char tail[3];      /* the last bytes of it */
    char *tag;
    subreq *sub;       /* an include that is being answered */
    bool some;         /* it had a body */
    bool is_error;     /* which is an error page of ours */
    str set, stub;
    bufq got;
    int depth;
    struct {
        bool taken, now, outer;
    } cond[DEPTH_MAX];
    struct block blocks[BLOCKS_MAX];
    int nblocks;
    bool in_block;
    char *block;
    size_t block_n;
    str errmsg;
} ssi_filter;

static const char start[5] = {'<', '!', '-', '-', '#'};

static bool is_visible(const ssi_filter *s)
{
    return !s->depth || s->cond[s->depth - 1].now;
}

/* -- text */

static void to_block(ssi_filter *s, str text)
{
    if (!s->block) {
        s->block = pool_alloc(&s->r->pool, BLOCK_MAX);
        s->block_n = 0;
    }
    size_t n = text.n < BLOCK_MAX - s->block_n ? text.n : BLOCK_MAX - s->block_n;
    memcpy(s->block + s->block_n, text.p, n);
    s->block_n += n;
}

static void emit(ssi_filter *s, str text, mem *m)
{
    if (!text.n || !is_visible(s)) {
        return;
    }
    if (s->in_block) {
        to_block(s, text);
    } else if (m) {
        bufq_push_mem(&s->out, m, text.p, text.n);
    } else {
        bufq_push_copy(&s->out, text);
    }
}

static void failed(ssi_filter *s, const char *what, str about)
{
    req_log(s->r, LOG_ERROR_, "SSI: %s \"%.*s\"", what, (int)(about.n < 200 ? about.n : 200), about.n ? about.p : "");
    if (!s->r->route->c->ssi_silent) {
        emit(s, s->errmsg.p ? s->errmsg : STR("[an error occurred while processing the directive]"), NULL);
    }
}

/* -- commands */

static str escape(ssi_filter *s, str v, str encoding)
{
    if (str_eq(encoding, STR("none"))) {
        return v;
    }
    if (str_eq(encoding, STR("url"))) {
        return uri_encode_component(v, &s->r->pool);
    }
    static const struct {
        char c;
        const char *as;
    } entities[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}};
    char *out = pool_alloc(&s->r->pool, v.n * 6 + 1), *to = out;
    for (size_t i = 0; i < v.n; i++) {
        const char *as = NULL;
        for (size_t k = 0; k < ARRAY_LEN(entities); k++) {
            as = v.p[i] == entities[k].c ? entities[k].as : as;
        }
        size_t n = as ? strlen(as) : 1;
        memcpy(to, as ? as : &v.p[i], n);
        to += n;
    }
    return str_of(out, (size_t)(to - out));
}

static void run_echo(ssi_filter *s, const ssi_tag *t)
{
    str name = ssi_tag_get(t, STR("var")), otherwise = ssi_tag_get(t, STR("default")), v;
    v = name.p ? ssi_get(s->r, name) : name;
    if (!v.p) {
        emit(s, otherwise.p ? otherwise : STR("(none)"), NULL);
    } else {
        emit(s, escape(s, v, ssi_tag_get(t, STR("encoding"))), NULL);
    }
}

static void run_set(ssi_filter *s, const ssi_tag *t)
{
    str name = ssi_tag_get(t, STR("var")), v;
    if (!name.p || !ssi_tag_get(t, STR("value")).p || ssi_expand(s->r, ssi_tag_get(t, STR("value")), &v) < 0 || ssi_set(s->r, name, v) < 0) {
        failed(s, "cannot set", name);
    }
}

static void run_config(ssi_filter *s, const ssi_tag *t)
{
    str format = ssi_tag_get(t, STR("timefmt")), text = ssi_tag_get(t, STR("errmsg"));
    if (format.p) {
        ssi_set_timefmt(s->r, format);
    }
    s->errmsg = text.p ? text : s->errmsg;
}

static void run_if(ssi_filter *s, const ssi_tag *t)
{
    if (s->depth == DEPTH_MAX) {
        failed(s, "conditions are nested too deeply at", t->name);
        return;
    }
    bool outer = is_visible(s);
    int rc = outer ? ssi_holds(s->r, ssi_tag_get(t, STR("expr"))) : 0;
    if (rc < 0) {
        failed(s, "not a condition:", ssi_tag_get(t, STR("expr")));
    }
    s->cond[s->depth].outer = outer;
    s->cond[s->depth].now = s->cond[s->depth].taken = rc > 0;
    s->depth++;
}

/* elif has an expression, else has none. */
static void run_else(ssi_filter *s, const ssi_tag *t)
{
    if (!s->depth) {
        failed(s, "there is no if before", t->name);
        return;
    }
    str expr = ssi_tag_get(t, STR("expr"));
    int i = s->depth - 1;
    bool open = s->cond[i].outer && !s->cond[i].taken;
    s->cond[i].now = open && (!expr.p || ssi_holds(s->r, expr) > 0);
    s->cond[i].taken = s->cond[i].taken || s->cond[i].now;
}

static void begin_block(ssi_filter *s, const ssi_tag *t)
{
    str name = ssi_tag_get(t, STR("name"));
    if (!name.p || s->nblocks == BLOCKS_MAX) {
        failed(s, "no such block:", name);
        return;
    }
    s->blocks[s->nblocks].name = name;
    s->block = NULL;
    s->block_n = 0;
    s->in_block = true;
}

static void end_block(ssi_filter *s)
{
    if (s->in_block) {
        s->blocks[s->nblocks++].text = str_of(s->block, s->block_n);
        s->in_block = false;
    }
}

static str block_of(const ssi_filter *s, str name)
{
    for (int i = s->nblocks; name.p && i-- > 0;) {
        if (str_eq(s->blocks[i].name, name)) {
            return s->blocks[i].text;
        }
    }
    return (str){NULL, 0};
}

static bool is_unsafe(str path)
{
    if (!path.n || memchr(path.p, 0, path.n)) {
        return true;
    }
    str part;
    while (str_split(&path, '/', &part)) {
        if (str_eq(part, STR(".."))) {
            return true;
        }
    }
    return false;
}

/* A path that does not begin with a slash is beside the page. */
static str place(const ssi_filter *s, str path)
{
    req *r = s->r;
    if (path.n && path.p[0] == '/') {
        return path;
    }
    size_t n = r->path.n;
    while (n > 0 && r->path.p[n - 1] != '/') {
        n--;
    }
    const str parts[2] = {str_of(r->path.p, n), path};
    return pool_join(&r->pool, parts, 2);
}

static void on_head(req *parent, req *sub, void *arg)
{
    (void)parent;
    ssi_filter *s = arg;
    s->is_error = sub->error_page;
}

static void run_include(ssi_filter *s, const ssi_tag *t)
{
    str given = ssi_tag_get(t, STR("virtual")), target;
    given = given.p ? given : ssi_tag_get(t, STR("file"));
    if (!given.p || ssi_expand(s->r, given, &target) < 0) {
        failed(s, "nothing to include:", given);
        return;
    }
    size_t mark = str_find(target, '?', 0);
    str path = place(s, uri_decode(str_of(target.p, mark), false, &s->r->pool));
    struct subreq_args a = {.path = path, .query = mark < target.n ? str_from(target, mark + 1) : (str){NULL, 0}, .sink = SUBREQ_QUEUE, .limit = QUEUE_MAX, .on_head = on_head, .arg = s};
    (void)ssi_vars_of(s->r); /* there before the sub-request, which shares it */
    if (is_unsafe(path) || subreq_start(s->r, &a, &s->sub) < 0) {
        failed(s, "cannot include", target);
        return;
    }
    s->set = ssi_tag_get(t, STR("set"));
    s->stub = block_of(s, ssi_tag_get(t, STR("stub")));
    s->some = s->is_error = false;
}

static void run_visible(ssi_filter *s, const ssi_tag *t)
{
    static const struct {
        const char *name;
        void (*run)(ssi_filter *s, const ssi_tag *t);
    } commands[] = {{"include", run_include}, {"echo", run_echo}, {"set", run_set}, {"config", run_config}, {"block", begin_block}};
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (str_eq(t->name, str_c(commands[i].name))) {
            commands[i].run(s, t);
            return;
        }
    }
    failed(s, "invalid SSI command:", t->name);
}

static bool is_overlong(const ssi_filter *s, const ssi_tag *t)
{
    for (int i = 0; i < t->n; i++) {
        if ((int64_t)t->v[i].value.n > s->r->route->c->ssi_value_length) {
            return true;
        }
    }
    return false;
}

/* `text` lies in the tag buffer. */
static void run_tag(ssi_filter *s, str text)
{
    ssi_tag t;
    int rc = s->tag_n > TAG_MAX ? ERR_LIMIT : ssi_tag_parse(text, &s->r->pool, &t);
    if (rc == 0 && s->in_block && !str_eq(t.name, STR("endblock"))) {
        to_block(s, STR("<!--#"));
        to_block(s, text);
        to_block(s, STR("-->"));
        return;
    }
    if (rc < 0 || is_overlong(s, &t)) {
        failed(s, "malformed or too long:", text);
        return;
    }
    t.name = pool_dup(&s->r->pool, t.name);
    if (str_eq(t.name, STR("if"))) {
        run_if(s, &t);
    } else if (str_eq(t.name, STR("elif")) || str_eq(t.name, STR("else"))) {
        run_else(s, &t);
    } else if (str_eq(t.name, STR("endif"))) {
        s->depth -= s->depth > 0;
    } else if (str_eq(t.name, STR("endblock"))) {
        end_block(s);
    } else if (is_visible(s)) {
        run_visible(s, &t);
    }
}

/* -- reading */

static void begin_tag(ssi_filter *s)
{
    if (!s->tag) {
        s->tag = pool_alloc(&s->r->pool, TAG_MAX);
    }
    s->in_tag = true;
    s->tag_n = 0;
    s->quote = 0;
    s->escaped = false;
    memset(s->tail, 0, sizeof s->tail);
}

/* True: the tag ends with this byte. */
static bool take_tag_byte(ssi_filter *s, char c)
{
    if (s->tag_n < TAG_MAX) {
        s->tag[s->tag_n] = c;
    }
    s->tag_n++;
    s->tail[0] = s->tail[1];
    s->tail[1] = s->tail[2];
    s->tail[2] = c;
    bool over = s->tag_n > TAG_MAX;
    if (s->quote && !over) {
        bool closes = c == s->quote && !s->escaped;
        s->escaped = c == '\\' && !s->escaped;
        s->quote = closes ? 0 : s->quote;
        return false;
    }
    if (c == '"' || c == '\'') {
        s->quote = c;
        s->escaped = false;
    }
    return memcmp(s->tail, "-->", 3) == 0;
}

/* Looks for the beginning of a command from *i on; text before it is emitted. True: it was found, *i is behind it. */
static bool find_start(ssi_filter *s, str piece, mem *m, size_t *i)
{
    size_t from = *i;
    for (; *i < piece.n; (*i)++) {
        char c = piece.p[*i];
        if (c == start[s->matched]) {
            if (s->matched == 0) {
                emit(s, str_of(piece.p + from, *i - from), m);
                from = *i;
            }
            if (++s->matched == sizeof start) {
                s->matched = 0;
                (*i)++;
                return true;
            }
        } else if (s->matched) {
            emit(s, str_of(start, s->matched), NULL);
            from = *i;
            s->matched = c == '<';
            /* a "<" begins anew; nothing else in the sequence can */
        }
    }
    if (!s->matched) {
        emit(s, str_of(piece.p + from, piece.n - from), m);
    }
    return false;
}

/* The rest of the piece comes back into the queue when an include must be answered first. */
static void scan(ssi_filter *s, str piece, mem *m)
{
    size_t i = 0;
    while (i < piece.n) {
        if (!s->in_tag) {
            if (find_start(s, piece, m, &i)) {
                begin_tag(s);
            }
            continue;
        }
        if (!take_tag_byte(s, piece.p[i++])) {
            continue;
        }
        s->in_tag = false;
        run_tag(s, str_of(s->tag, s->tag_n > TAG_MAX ? TAG_MAX : s->tag_n - 3));
        if (s->sub) {
            if (i < piece.n) {
                bufq_push_front(&s->in, (slice){.p = piece.p + i, .n = piece.n - i, .mem = mem_ref(m)});
            }
            return;
        }
    }
}

static int scan_some(ssi_filter *s)
{
    mem *m = mem_new(MEM_16K);
    size_t n = bufq_peek(&s->in, m->data, m->cap);
    bool all = n == (s->in.bytes < m->cap ? s->in.bytes : m->cap);
    bufq_drop(&s->in, n);
    scan(s, str_of(m->data, n), m);
    mem_unref(m);
    return all ? 0 : ERR_IO;
}

static int pass(ssi_filter *s)
{
    return bufq_is_empty(&s->out) ? 0 : sink_push(s->next, &s->out, 0);
}

/* The include is over: its value is set, or its stub takes its place. */
static int end_include(ssi_filter *s)
{
    s->sub = NULL;
    if (s->set.p) {
        char *text = pool_alloc(&s->r->pool, s->got.bytes + 1);
        size_t n = bufq_peek(&s->got, text, s->got.bytes);
        bufq_clear(&s->got);
        if (ssi_set(s->r, s->set, str_of(text, n)) < 0) {
            failed(s, "too long to be set:", s->set);
        }
    } else if (!s->some && s->stub.n) {
        bufq_push_front(&s->in, (slice){.p = s->stub.p, .n = s->stub.n});
    }
    return 0;
}

static int follow(ssi_filter *s)
{
    bool over = subreq_is_over(s->sub);
    if (s->set.p) {
        (void)subreq_take(s->sub, &s->got);
        if (s->got.bytes > SET_MAX) {
            subreq_cancel(s->sub);
            bufq_clear(&s->got);
            over = true;
        }
    } else if (s->stub.p && s->is_error) {
        (void)subreq_take(s->sub, &s->got); /* the stub stands for it */
        bufq_clear(&s->got);
    } else {
        s->some = subreq_take(s->sub, &s->out) > 0 || s->some;
        int rc = pass(s);
        if (rc < 0) {
            return rc;
        }
    }
    return over ? end_include(s) : ERR_AGAIN;
}

static int advance(ssi_filter *s)
{
    for (;;) {
        int rc = pass(s);
        if (rc < 0) {
            return rc;
        }
        if (!s->sub && bufq_is_empty(&s->in)) {
            return 0;
        }
        rc = s->sub ? follow(s) : scan_some(s);
        if (rc < 0) {
            return rc;
        }
    }
}

static int push(sink *sk, bufq *q, unsigned flags)
{
    ssi_filter *s = container_of(sk, ssi_filter, sink);
    s->last = s->last || (flags & SINK_LAST);
    if (s->ended) {
        return sink_push(s->next, q, flags);
    }
    bufq_move(&s->in, q);
    int rc = advance(s);
    if (rc < 0 || !s->last) {
        return rc < 0 || !(flags & SINK_FLUSH) ? rc : sink_push(s->next, &s->out, flags);
    }
    if (s->matched) {
        emit(s, str_of(start, s->matched), NULL);
        s->matched = 0;
    }
    rc = sink_push(s->next, &s->out, SINK_LAST);
    s->ended = rc == 0;
    return rc;
}

static void on_abort(sink *sk, int err)
{
    ssi_filter *s = container_of(sk, ssi_filter, sink);
    sink_abort(s->next, err);
}

static const struct sink_ops ops = {.push = push, .abort = on_abort};

/* -- the filter */

static bool wants(const route *rt)
{
    return rt->c->ssi;
}

static int head(req *r)
{
    const field *type = headers_find(&r->res.h, TOKEN_CONTENT_TYPE);
    if (!filter_has_body(r) || !type || !filter_is_type(&r->route->c->ssi_types, type->value, STR("text/html"))) {
        return 0;
    }
    filter_new_body(r);
    if (!r->route->c->ssi_last_modified) {
        headers_remove_token(&r->res.h, TOKEN_LAST_MODIFIED);
        headers_remove_token(&r->res.h, TOKEN_ETAG);
    }
    return 1;
}

static void on_fini(void *arg)
{
    ssi_filter *s = arg;
    bufq_fini(&s->in);
    bufq_fini(&s->out);
    bufq_fini(&s->got);
}

static sink *body(req *r, sink *next)
{
    ssi_filter *s = pool_zalloc(&r->pool, sizeof *s);
    s->sink.ops = &ops;
    s->r = r;
    s->next = next;
    bufq_init(&s->in);
    bufq_init(&s->out);
    bufq_init(&s->got);
    pool_on_fini(&r->pool, on_fini, s);
    return &s->sink;
}

const struct filter filter_ssi = {.name = "ssi", .wants = wants, .head = head, .body = body};
