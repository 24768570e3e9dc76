/* tmpl.h — templates: text with $variables and ${variables}, compiled once, evaluated per request into the request's pool. */
#ifndef FLOW_TMPL_H
#define FLOW_TMPL_H

#include "base/pool.h"
#include "base/str.h"

struct req;
typedef struct tmpl tmpl;

/* NULL with a text (what and where) in err. "$$" is a dollar sign. Compiled objects live in `p`. */
MUST_USE tmpl *tmpl_compile(str text, pool *p, char *err, size_t errcap);
/* A view: constant text, one variable's value, or a concatenation in r->pool. Absent variables are empty. */
str tmpl_eval(const tmpl *t, struct req *r);
bool tmpl_is_constant(const tmpl *t);
str tmpl_constant(const tmpl *t);

#endif
