/* ssi.h — what the commands of server-side includes work with: variables (shared by a request and its sub-requests), texts with $variables, conditions. */
#ifndef FLOW_SSI_H
#define FLOW_SSI_H

#include "flow/req.h"

/* Bounds of one exchange. */
enum { SSI_VARS = 128, SSI_VALUE_MAX = 1024 * 1024, SSI_PATTERN_MAX = 1024 };

/* Of the request that a client sent: sub-requests see and set the same. */
typedef struct ssi_vars ssi_vars;

ssi_vars *ssi_vars_of(req *r);
/* 0, or ERR_LIMIT: too many, or too much. */
MUST_USE int ssi_set(req *r, str name, str value);
/* set, else captured by a condition, else a variable of the request; .p NULL: none. */
str ssi_get(req *r, str name);
/* $name and ${name} replaced, "\$" is a dollar sign; in r->pool. ERR_INVALID: a "${" without end. */
MUST_USE int ssi_expand(req *r, str text, str *out);
/* 1, 0, or < 0: the expression is none. */
MUST_USE int ssi_holds(req *r, str expression);
/* The time as `config timefmt` says (of this exchange). */
void ssi_set_timefmt(req *r, str format);
str ssi_date(req *r, bool local);

#endif
