/* walk.h — what would happen to a request, without asking anybody: the steps up to the choice of a peer, and the head that peer would get. */
#ifndef SCRIPT_WALK_H
#define SCRIPT_WALK_H

#include "base/str.h"

typedef struct req req;

struct walk {
    int err;          /* it fails here: ERR_*; 0: it does not */
    bool answered;    /* an answer made here: r->res */
    str peer;         /* "127.0.0.1:3000"; empty: none was reached */
    str head;         /* the upstream request's head as HTTP/1 text, in the request's pool */
};

/* Runs admit, route, rewrite (hooks are not run), content and pick on a request that was filled in. Limits and access rules are passed by. */
void walk_request(req *r, struct walk *out);

#endif
