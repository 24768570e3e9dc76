/* tmpl.h — templates: text with $variables and ${variables}, compiled once, evaluated per request into the request's pool. */
#ifndef FLOW_TMPL_H
#define FLOW_TMPL_H

#include "base/pool.h"
#include "base/str.h"

struct req;
typedef struct tmpl tmpl;

/* NULL with a text (what and where) in err. "$$" is a dollar sign. Compiled objects live in `p`. */
MUST_USE tmpl *tmpl_compile(str text, pool *p, char *err, size_t errcap);
/* The same for a template of a route: named captures of its regex and its ":name" parameters are variables too. */
struct route;
MUST_USE tmpl *tmpl_compile_for(str text, const struct route *rt, pool *p, char *err, size_t errcap);
/* Of text as it is; the bytes are borrowed and live as long as the pool. */
tmpl *tmpl_plain(str text, pool *p);
/* A view: constant text, one variable's value, or a concatenation in r->pool. Absent variables are empty. */
str tmpl_eval(const tmpl *t, struct req *r);
/* The same, with the groups of a regex put through `escape`. */
str tmpl_eval_captures(const tmpl *t, struct req *r, str (*escape)(str v, pool *p));
bool tmpl_is_constant(const tmpl *t);
str tmpl_constant(const tmpl *t);
/* Does it have a variable for which the connection is asked? */
bool tmpl_uses_connection(const tmpl *t);
/* Calls `put` for each part in order: constant text, and values (.p == NULL: absent). For the access log, which escapes values only. */
void tmpl_each(const tmpl *t, struct req *r, void (*put)(str part, bool is_value, void *arg), void *arg);

#endif
