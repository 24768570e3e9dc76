/* mime.h — media types by the extension of a path. */
#ifndef FLOW_MIME_H
#define FLOW_MIME_H

#include "flow/plan.h"

typedef struct req req;
typedef struct mime mime;
struct conf_mime;

/* In the plan's pool. */
mime *mime_new(const struct conf_mime *c, pool *p);
/* The extension of the last segment, without its dot; empty: none. A dot at the beginning of a name begins no extension. */
str mime_extension(str path);
/* The type of the path on this route: by its table, else its default; empty: none is to be told. */
str mime_of_path(const route *rt, str path);

#endif
