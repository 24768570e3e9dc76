/* uservar.h — variables that the configuration makes: set by a rewrite op, captured by name in a regex, looked up in a map, found by address (geo), dealt out by share
 * (split). All of a plan have an index; their values are kept per request, computed when they are asked for and not before. A request that asks for none has no values. */
#ifndef FLOW_USERVAR_H
#define FLOW_USERVAR_H

#include "base/pool.h"
#include "base/str.h"

struct req;
struct regex;
struct regex_match;
struct conf_uservars;
typedef struct uservars uservars;

/* Declares all names, then compiles; lives in the pool. NULL with "file:line: what" in err. */
MUST_USE uservars *uservars_new(const struct conf_uservars *c, pool *p, char *err, size_t errcap);
/* Only the names, in the order the plan will have them: for what is compiled before it. Lives in the pool. */
uservars *uservars_declare(const str *names, int n, pool *p);
/* Whose names templates that are being compiled may use; returns whose it was. NULL: none. */
const uservars *uservars_name(const uservars *u);
/* Index of a name in the set that templates use now (load) or in `u`; -1: there is none. */
int uservars_index(const uservars *u, str name);
int uservar_index_now(str name);

/* The value; .p == NULL: absent. */
str uservar_get(struct req *r, int index);
/* Sets it for the rest of the request; the bytes must live as long. A name that is also one of the gateway's own variables goes there when it may be set. */
void uservar_set(struct req *r, int index, str value);

/* What was set in a request holds in its sub-request too: copied. */
void uservars_copy(const struct req *from, struct req *to);

/* A regex of the configuration with the variables its named groups set. Lives in the pool. */
typedef struct capture {
    struct regex *re;
    int n;
    struct capture_name {
        int group, index;
    } *v;
} capture;

/* NULL with a text in err. The names must be declared; others are no variables. */
MUST_USE capture *capture_new(str pattern, unsigned flags, pool *p, char *err, size_t errcap);
/* The same for a regex that is compiled already. */
capture *capture_of(struct regex *re, pool *p);
/* 1 match: $1 to $9 and the named variables are set; 0; < 0. `subject` must live as long as the request. */
MUST_USE int capture_exec(const capture *c, struct req *r, str subject);
/* After a match that somebody else made. */
void capture_take(const capture *c, struct req *r, str subject, const struct regex_match *m);

#endif
