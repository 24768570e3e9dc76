/* hook.h — phase hooks, filled by script/ (NULL: none). Steps call them only when the route's mask has the phase. */
#ifndef FLOW_HOOK_H
#define FLOW_HOOK_H

#include "conf/conf.h"

typedef struct req req;
typedef struct sink sink;

enum {
    HOOK_NEXT = 0,      /* go on */
    HOOK_ANSWER = 1,    /* r->has_reply: send it */
    HOOK_REROUTE = 2,   /* path or host changed and another route was asked for */
};

struct flow_hooks {
    /* Runs (or, after a wake, continues) the composed hooks of the phase. HOOK_*, ERR_AGAIN (parked; r->job is woken), or < 0: the hook failed and on_error says deny
     * (ERR_SCRIPT, ERR_SCRIPT_BUDGET): answered with 500. */
    int (*run)(req *r, enum conf_phase phase);
    /* The body phase as a sink in front of `next`; in r->pool. */
    sink *(*body)(req *r, sink *next);
    /* The request is over or aborted: cancels a parked hook and gives the coroutine back. Idempotent. */
    void (*release)(req *r);
};

extern const struct flow_hooks *flow_hooks;

#endif
