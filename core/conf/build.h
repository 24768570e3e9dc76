/* build.h — the builder that turns the model's tables into a conf: metadata of every field, and setters that check type and range and report by path
 * ("sites[2].routes[0].upstream"). Driven by script/api_conf.c, which walks the Lua tables; knows no Lua itself. */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include "conf/conf.h"

enum conf_type { CONF_BOOL, CONF_INT, CONF_MS, CONF_SIZE, CONF_STR, CONF_TMPL, CONF_ENUM, CONF_STRS, CONF_REF, CONF_REFS, CONF_OBJS };

struct conf_field {
    const char *name;
    enum conf_type type;
    enum conf_kind kind;      /* REF, REFS, OBJS: what it holds or points to */
    const char *words;        /* ENUM: "a|b|c" */
    size_t offset;            /* in the struct */
    int64_t def;              /* BOOL, INT, MS, SIZE, ENUM, REF */
    const char *doc;
};

/* Fields of a kind, in the order of fields.def. */
const struct conf_field *conf_fields(enum conf_kind kind, int *n);
const char *conf_kind_name(enum conf_kind kind);
int conf_kind_find(str name); /* -1 */
size_t conf_kind_size(enum conf_kind kind);
const struct conf_field *conf_field_find(enum conf_kind kind, str name);

/* Writes the defaults. */
void conf_defaults(enum conf_kind kind, void *obj);
/* Setters: obj is a struct of the field's kind. 0 or ERR_INVALID (wrong type or range). */
MUST_USE int conf_set_number(const struct conf_field *f, void *obj, double v);
MUST_USE int conf_set_bool(const struct conf_field *f, void *obj, bool v);
MUST_USE int conf_set_str(conf *c, const struct conf_field *f, void *obj, str v); /* STR, TMPL, ENUM; copies */
/* STRS, REFS, OBJS: makes room for n; fill through the returned array (str *, int *, struct conf_x * with defaults written). */
void *conf_set_array(conf *c, const struct conf_field *f, void *obj, int n);
/* After everything is set: indexes in range, every route of action proxy has an upstream... 0, or ERR_CONF with a text in err naming the path. */
MUST_USE int conf_freeze(conf *c, char *err, size_t errcap);
/* Canonical text of the whole tree (-T, golden specs): one "path = value" per line for everything that is not a default. */
str conf_dump(const conf *c, pool *p);

#endif
