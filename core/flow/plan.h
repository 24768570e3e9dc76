/* plan.h — a configuration compiled for the data path: sites and routes with everything resolved to pointers, indexes and templates, so that a request looks up nothing by
 * name. One per generation and worker, reference-counted: the worker's current one and every request in flight. */
#ifndef FLOW_PLAN_H
#define FLOW_PLAN_H

#include "base/pool.h"
#include "http/token.h"

typedef struct plan plan;
typedef struct site site;
typedef struct route route;
typedef struct conf conf;
typedef struct group group;
typedef struct group_set group_set;
typedef struct nameserver nameserver;
typedef struct route_files route_files;
typedef struct regex regex;
typedef struct tls_server tls_server;
typedef struct tmpl tmpl;
struct host_match;

/* A header operation, compiled. */
typedef struct headerop {
    uint8_t op;         /* enum conf_headerop_op */
    bool always;
    uint16_t token;     /* enum token */
    str name;
    tmpl *value;
    str prefix;         /* "Name: value\r\n" ready-made when the value is constant */
} headerop;

/* In route.hooks: another request follows (conf_route.after), so that one test does for both. */
#define ROUTE_FOLLOWED (1u << 31)

/* A connection's waits and its end, as a route has them: copied for each answer. Milliseconds. */
struct conn_times {
    uint32_t send_ms;        /* between two writes */
    uint32_t idle_ms;        /* until the next request; CONN_TIMES_LISTENER: what the listener says */
    uint32_t linger_ms, linger_all_ms; /* between two reads of what is read away before the end; in all. 0: it is not */
    bool linger_always;      /* even when nothing is left to be read */
    bool reset_late;         /* who is too slow gets a reset */
};
#define CONN_TIMES_LISTENER UINT32_MAX

struct route {
    const struct conf_route *c;
    site *site;
    group *group;            /* NULL unless action proxy */
    nameserver *names;       /* who is asked for names of addresses with variables; NULL: nobody */
    regex *re;
    route_files *files;           /* of action file, or with something to try first (files.h); else NULL */
    struct expires *expires; /* NULL: none */
    struct compress_rules *compress; /* NULL: nothing is compressed, unpacked, or lies there compressed */
    tmpl *host, *reply_body, *reply_location, *tls_name, *hash_key;
    headerop *request_ops, *response_ops, *trailer_ops;
    struct exchange *exchange; /* what is unusual about its exchanges; NULL: nothing */
    uint64_t hide[2];        /* mask of tokens: upstream fields that are not passed */
    uint8_t doubt[TOKEN_COUNT]; /* by token: those of `hide`, and Content-Length, are looked at; the others are passed */
    uint64_t skip[2];        /* the same of a request's fields: written anew, or of this hop (forward.h) */
    struct conn_times times;
    bool straight;           /* between route and pick nothing has a say: the rows in between are not run */
    bool picky;              /* more than a count of requests decides how long clients' connections are kept */
    int nrequest_ops, nresponse_ops, ntrailer_ops;
    struct access_log **logs; /* nlogs */
    int nlogs;
    const struct log_set *errors;  /* where lines about its requests go; NULL: the process' own */
    uint32_t methods;        /* mask of 1 << enum method; 0: all. METHOD_OTHER names are in c->methods */
    uint32_t hooks;          /* mask of 1 << enum conf_phase, and ROUTE_FOLLOWED */
    struct mime *mime;       /* NULL: no table of types */
    struct secure_link *secure; /* NULL: links are not looked at */
    struct replace_rules *replace; /* NULL: no text is replaced */
    struct charset_rules *charset; /* NULL: nothing is said of charsets */
    uint32_t filters;        /* mask of FILTER_* (filter.h) */
    int hook_id;
    tmpl *rate, *rate_after, *upstream_rate; /* bytes a second; NULL: no limit */
    struct rewrites *rewrites; /* NULL: none */
    struct error_pages *error_pages; /* NULL: none */
    struct referers *referers; /* NULL: every Referer is valid */
    struct capture *capture; /* named groups of the pattern; NULL: none */
    struct guard *guard;     /* limits and access control; NULL: none */
    uint32_t index;          /* in the plan, for per-route metrics */
    struct route_when *when; /* matchers, compiled (route.c) */
    int nwhen;
    uint32_t rank;           /* position in the file among the site's routes */
    const struct route *except; /* takes the methods that are not in except_methods; NULL: none */
    uint32_t except_methods; /* mask of 1 << enum method */
    uint16_t literals;       /* segments pattern: number of literal segments */
    int nparams;             /* segments pattern: names of :name parts, in order */
    str *param_names;
};

struct site {
    const struct conf_site *c;
    struct route_table *table; /* match = specific */
    struct route_nginx *nested; /* match = nginx */
    route *routes;           /* same order as c->routes */
    route *fallback;
    struct trust *trust;     /* whose word about the client counts (realip.h); NULL: nobody's */
    int index;               /* among the plan's sites */
    bool asks_cert;          /* requests need a word about the client's certificate (client_cert.h) */
};

/* What a listener needs to find the site of a host. */
typedef struct plan_listen {
    const struct conf_listen *c;
    struct hosts *hosts;
    site *def;               /* default_site; NULL: refuse */
    bool shared;             /* connections to some addresses belong to other listeners */
    tls_server *tls;         /* NULL: plain */
    tls_server **site_tls;   /* same order as c->sites, when sites have TLS settings of their own; else NULL */
} plan_listen;

struct plan {
    conf *conf;              /* borrowed: the generation owns it */
    pool pool;
    uint32_t refs;
    uint64_t generation;
    plan_listen *listens;    /* same order as conf->g.listens */
    site *sites;
    group **groups;          /* same order as conf->g.upstreams; filled by plan_attach */
    nameserver **names;      /* same order as conf->g.resolvers; likewise */
    tmpl **hash_keys;        /* same order as groups; NULL: none */
    struct zone *zones;      /* same order as conf->g.zones; bound by plan_attach */
    uint32_t nroutes;
    struct mime **mimes;     /* same order as conf->g.mimes */
    struct recodes *recodes; /* between charsets */
    struct access_log **logs; /* same order as conf->g.logs; opened by plan_attach */
    struct uservars *vars;   /* custom variables */
    void *script;            /* the generation's VM, for flow_hooks */
    void (*on_free)(void *owner); /* last reference gone */
    void *owner;
};

/* Compiles; the conf must outlive the plan. NULL with a text in err. Opens nothing, connects to nothing. */
MUST_USE plan *plan_new(conf *c, uint64_t generation, char *err, size_t errcap);
/* At commit: binds the routes to this worker's groups. */
MUST_USE int plan_attach(plan *p, group_set *groups, char *err, size_t errcap);
/* The hash key of a group that is not the route's own (picked at run time), or NULL. */
tmpl *plan_hash_key(const plan *p, const group *g);
plan *plan_ref(plan *p);
void plan_unref(plan *p);
/* The site of a host (lower case, no port) on a listener, the listener's default, or NULL. `match` (may be NULL) is filled from `p` when the name is a regex. */
site *plan_site(const plan_listen *l, str host, pool *p, struct host_match **match);

#endif
