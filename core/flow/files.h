/* files.h — the part of a route that speaks of files: where they are, what stands for a directory, what is looked for first. */
#ifndef FLOW_FILES_H
#define FLOW_FILES_H

#include "flow/plan.h"

typedef struct req req;

/* Compiles the route's settings; NULL: it has none. A text in err: they are wrong. */
struct files_args {
    const route *rt;
    pool *pool;
    char *err;
    size_t errcap;
};
MUST_USE int files_compile(const struct files_args *a, route_files **out);

/* try_files of the route. STEP_NEXT: go on (r->path may be another one now); a jump, or < 0. */
MUST_USE int files_try(req *r);
/* Answers the request from the route's files: the file, an index, a redirect to the directory. A jump or < 0. */
MUST_USE int files_answer(req *r);
/* The path in the file system that r->path means; and the directory. For variables; empty: none. */
str files_path(req *r);
str files_root(req *r);

#endif
