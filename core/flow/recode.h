/* recode.h — from one charset to another by a table of bytes; one of the two may be UTF-8. */
#ifndef FLOW_RECODE_H
#define FLOW_RECODE_H

#include "base/pool.h"

struct conf_charmaps;
typedef struct recode recode;

/* All maps there are, in both directions. */
typedef struct recodes {
    recode **v;
    int n;
} recodes;

recodes *recodes_new(const struct conf_charmaps *c, pool *p);
/* NULL: there is none. Names in any case. */
const recode *recode_find(const recodes *all, str from, str to);
/* Does a text keep its length? */
bool recode_keeps_length(const recode *c);

enum { RECODE_LONGEST = 10 /* what a byte, or a character, may become: "&#1114111;" */ };

/* Writes what `in` becomes: RECODE_LONGEST times its size at most. Less of `in` may be used: the beginning of a character stays there unless it is the `last` of
 * the text. Returns bytes written; *used says of what. */
size_t recode_run(const recode *c, str in, bool last, char *out, size_t *used);

#endif
