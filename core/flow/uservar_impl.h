/* uservar_impl.h — what the kinds of custom variables share; for uservar.c, varmap.c, geo.c and split.c. */
#ifndef FLOW_USERVAR_IMPL_H
#define FLOW_USERVAR_IMPL_H

#include "conf/conf.h"
#include "flow/tmpl.h"
#include "flow/uservar.h"

struct req;

/* How a kind is compiled and asked. `impl` is what compile left. */
struct uservar_making {
    const struct conf_uservar *c;
    pool *pool;
    char *err;
    size_t cap;
};

/* NULL with err filled. */
void *varmap_new(struct uservar_making *m);
str varmap_get(const void *impl, struct req *r);
void *geo_new(struct uservar_making *m);
str geo_get(const void *impl, struct req *r);
void *split_new(struct uservar_making *m);
str split_get(const void *impl, struct req *r);

/* A value of an entry: constant text, or a template. */
struct varvalue {
    str text;
    tmpl *t; /* NULL: constant */
};

MUST_USE int varvalue_compile(struct uservar_making *m, str text, struct varvalue *out);
str varvalue_get(const struct varvalue *v, struct req *r);
/* "file:line: " and what is wrong, in m->err; NULL. */
void *varmaking_fail(struct uservar_making *m, str label, const char *format, ...) PRINTF(3, 4);

#endif
