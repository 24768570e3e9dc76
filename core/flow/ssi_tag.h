/* ssi_tag.h — the text of one server-side include, "<!--#" and "-->" taken off: a name and parameters. Pure. */
#ifndef FLOW_SSI_TAG_H
#define FLOW_SSI_TAG_H

#include "base/pool.h"

enum { SSI_PARAMS = 12 };

typedef struct ssi_param {
    str name, value; /* the value without its quotes, "\" before a quote taken off */
} ssi_param;

typedef struct ssi_tag {
    str name;
    ssi_param v[SSI_PARAMS];
    int n;
} ssi_tag;

/* Names become lower case in place. 0, or ERR_INVALID: no name, a parameter without a quoted value, too many. */
MUST_USE int ssi_tag_parse(str text, pool *p, ssi_tag *out);
/* {NULL, 0}: there is none. */
str ssi_tag_get(const ssi_tag *t, str name);

/* How a condition reads: `left` alone, or compared with `right`, which is a pattern when it stood between slashes. */
struct ssi_condition {
    str left, right;
    bool compares, negated, is_pattern;
};
struct ssi_condition ssi_condition_parse(str text);

#endif
