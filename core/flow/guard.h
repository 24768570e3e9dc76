/* guard.h — limits and access control of a route, compiled; and what a request remembers of them.
 *
 * A route without any of it has no guard and its requests have no guard_state: nothing here costs a
 * plain request more than one test. */
#ifndef FLOW_GUARD_H
#define FLOW_GUARD_H

#include "flow/req.h"
#include "flow/zones.h"
#include "net/addr.h"

typedef struct guard guard;
typedef struct tmpl tmpl;
struct conf_guard;
struct conf_limit;

/* One limit. */
typedef struct limit_rule {
    const struct conf_limit *c;
    zone *zone;
    tmpl *key;
    int64_t emission_us; /* rate: the time one request takes to be paid back */
} limit_rule;

/* A variable that is set from the answer to `ask`. */
typedef struct guard_set {
    int index; /* uservar.h */
    tmpl *value;
} guard_set;

typedef struct access_rule {
    bool allow, all;
    cidr from;
} access_rule;

struct guard {
    const struct conf_guard *c;
    limit_rule *rates, *conns;
    int nrates, nconns;
    struct trust *trust; /* realip.h; NULL: none of its own */
    access_rule *rules;
    int nrules;
    tmpl *realm;
    const struct map *users; /* name → stored password; NULL: users_file is read */
    tmpl *users_file;
    guard_set *sets;
    int nsets;
    bool has_access; /* rules, realm or ask: the access step has something to do */
};

enum guard_verdict {
    GUARD_NONE, GUARD_PASSED, GUARD_DELAYED, GUARD_REJECTED, GUARD_DELAYED_DRY_RUN, GUARD_REJECTED_DRY_RUN
};

struct guard_state {
    uint8_t rate_status, conn_status; /* enum guard_verdict; once set the request is not counted again */
    bool delaying;                    /* waits for its turn */
    bool refusing;                    /* waits to be told that it is refused */
    uint8_t stage;                    /* the check of `guard` that is asked */
    uint16_t code;                    /* with satisfy any: what it will be refused with */
    const guard *guard;
    struct ssi_vars *ssi;             /* of ssi.c; shared with sub-requests */
    struct subreq *asked;             /* of auth_request.c */
    int mirrored;                     /* of mirror.c: redirects + 1 when copies were sent last: a redirected request is mirrored anew */
    bool rate_said, rate_after_said;  /* of filter_rate.c: the exchange's own figures */
    int64_t rate, rate_after;
    struct passwd_work *work;         /* of auth_basic.c */
};

/* Compiles; `zones` are the plan's, in the order of the configuration. 0, or ERR_CONF with a text in err. */
struct guard_args {
    const struct conf_guard *c;
    const route *rt;
    zone *zones;
    pool *pool;
    char *err;
    size_t errcap;
};
MUST_USE int guard_compile(const struct guard_args *a, guard **out);
/* What a site trusts. */
MUST_USE int guard_site(site *s, pool *p, char *err, size_t errcap);
/* What the route's own trust says about the client. */
void guard_know_client(req *r);
/* The request's memory of it, made when first asked for. */
struct guard_state *guard_of(req *r);

#endif
