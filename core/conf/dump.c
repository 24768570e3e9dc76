/* dump.c — the canonical text of a configuration (-T); golden specs compare it. PEM bytes are shown by length only. */
#include "conf/build.h"

#include <stdio.h>

struct dump {
    pool *p;
    char *buf;
    size_t n, cap;
};

static void put(struct dump *d, const char *s, size_t n)
{
    if (d->n + n > d->cap) {
        size_t cap = (d->n + n) * 2 + 4096;
        char *more = pool_alloc(d->p, cap);
        memcpy(more, d->buf, d->n);
        d->buf = more;
        d->cap = cap;
    }
    memcpy(d->buf + d->n, s, n);
    d->n += n;
}

static void put_line(struct dump *d, str path, const char *name, str value)
{
    put(d, path.p, path.n);
    put(d, name, strlen(name));
    put(d, " = ", 3);
    put(d, value.p, value.n);
    put(d, "\n", 1);
}

static str word_of(const char *words, int i)
{
    str rest = str_c(words), w = STR_EMPTY;
    while (i-- >= 0 && str_split(&rest, '|', &w)) {
    }
    return w;
}

static void dump_object(struct dump *d, str path, enum conf_kind kind, const void *obj);

static void dump_objects(struct dump *d, str path, const struct conf_field *f, const void *obj)
{
    const struct conf_ints *a = (const void *)((const char *)obj + f->offset);
    const char *v;
    memcpy(&v, &a->v, sizeof v);
    for (int i = 0; i < a->n; i++) {
        str sub = pool_printf(d->p, "%.*s%s[%d].", STR_ARG(path), f->name, i);
        dump_object(d, sub, f->kind, v + conf_kind_size(f->kind) * (size_t)i);
    }
}

static void dump_str(struct dump *d, str path, const struct conf_field *f, str v)
{
    if (str_has_suffix(str_c(f->name), STR("_pem")) && v.p) {
        put_line(d, path, f->name, pool_printf(d->p, "<%zu bytes>", v.n));
    } else if (v.p) {
        put_line(d, path, f->name, pool_printf(d->p, "\"%.*s\"", STR_ARG(v)));
    }
}

static void dump_field(struct dump *d, str path, const struct conf_field *f, const void *obj)
{
    const void *at = (const char *)obj + f->offset;
    switch (f->type) {
    case CONF_BOOL:
        if (*(const bool *)at != (f->def != 0)) {
            put_line(d, path, f->name, *(const bool *)at ? STR("true") : STR("false"));
        }
        break;
    case CONF_INT:
    case CONF_MS:
    case CONF_SIZE:
        if (*(const int64_t *)at != f->def) {
            put_line(d, path, f->name, pool_printf(d->p, "%lld", (long long)*(const int64_t *)at));
        }
        break;
    case CONF_ENUM:
        if (*(const int *)at != f->def) {
            put_line(d, path, f->name, word_of(f->words, *(const int *)at));
        }
        break;
    case CONF_REF:
        if (*(const int *)at != f->def) {
            put_line(d, path, f->name, pool_printf(d->p, "%d", *(const int *)at));
        }
        break;
    case CONF_STR:
    case CONF_TMPL:
        dump_str(d, path, f, *(const str *)at);
        break;
    case CONF_STRS: {
        const struct conf_strs *s = at;
        for (int i = 0; i < s->n; i++) {
            put_line(d, path, f->name, s->v[i]);
        }
        break;
    }
    case CONF_REFS: {
        const struct conf_ints *s = at;
        for (int i = 0; i < s->n; i++) {
            put_line(d, path, f->name, pool_printf(d->p, "%d", s->v[i]));
        }
        break;
    }
    case CONF_OBJS:
        dump_objects(d, path, f, obj);
        break;
    }
}

static void dump_object(struct dump *d, str path, enum conf_kind kind, const void *obj)
{
    int n;
    const struct conf_field *f = conf_fields(kind, &n);
    for (int i = 0; i < n; i++) {
        dump_field(d, path, &f[i], obj);
    }
}

str conf_dump(const conf *c, pool *p)
{
    struct dump d = {p, NULL, 0, 0};
    d.buf = pool_alloc(p, 4096);
    d.cap = 4096;
    dump_object(&d, STR_EMPTY, CONF_KIND_gateway, &c->g);
    return str_of(d.buf, d.n);
}
