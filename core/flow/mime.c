/* mime.c — see mime.h. */
#include "flow/mime.h"

#include "base/map.h"
#include "conf/conf.h"

enum { EXTENSION_MAX = 32 };

struct mime {
    map types; /* extension → str in the conf */
};

static void on_fini(void *arg)
{
    map_fini(arg);
}

mime *mime_new(const struct conf_mime *c, pool *p)
{
    mime *m = pool_alloc(p, sizeof *m);
    map_init(&m->types);
    pool_on_fini(p, on_fini, &m->types);
    for (int i = 0; i < c->extensions.n && i < c->types.n; i++) {
        map_put(&m->types, c->extensions.v[i], &c->types.v[i]);
    }
    return m;
}

str mime_extension(str path)
{
    for (size_t i = path.n; i > 1; i--) {
        if (path.p[i - 1] == '/') {
            break;
        }
        if (path.p[i - 1] == '.' && path.p[i - 2] != '/') {
            return str_from(path, i);
        }
    }
    return STR_EMPTY;
}

static const str *find(const mime *m, str extension)
{
    char low[EXTENSION_MAX];
    if (extension.n == 0 || extension.n > sizeof low) {
        return NULL;
    }
    for (size_t i = 0; i < extension.n; i++) {
        low[i] = (char)str_lower_char((unsigned char)extension.p[i]);
    }
    return map_get(&m->types, str_of(low, extension.n));
}

str mime_of_path(const route *rt, str path)
{
    const str *known = rt->mime ? find(rt->mime, mime_extension(path)) : NULL;
    if (known) {
        return *known;
    }
    return rt->c->default_type.p ? rt->c->default_type : STR_EMPTY;
}
