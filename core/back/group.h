/* group.h — upstream groups and their peers, as one worker sees them: configuration, resolved addresses, idle pools, passive health, balancing state.
 *
 * A group lives in the worker, not in the generation: a reload with the same upstream (same name and peer addresses) keeps health, pools and counters. Health and in-flight
 * counts are per worker in this version; fields are plain integers so that they can move to shared memory.
 *
 * Glossary. peer: one configured "host:port" (a name may stand for several addresses: each becomes a peer). eligible: not down, not ejected, under max_conns. tier: primaries, or
 * backups when no primary is eligible. panic: when ejecting would leave less than the allowed share, ejection is ignored. */
#ifndef BACK_GROUP_H
#define BACK_GROUP_H

#include "conf/conf.h"
#include "net/addr.h"
#include "net/idle.h"

typedef struct group group;
typedef struct peer peer;
typedef struct group_set group_set;
typedef struct job job;
typedef struct loop loop;
typedef struct nameserver nameserver;
typedef struct resolver resolver;
typedef struct tls_client tls_client;
typedef struct peer_state peer_state; /* shm/peers.h */
typedef struct peers peers;
typedef struct seg seg;
typedef struct changes changes; /* changes.h */

struct peer {
    list node;               /* in its group */
    group *g;
    struct origin *origin;   /* the configured address it comes from; NULL when gone */
    addr at;
    char *unix_path;         /* owned, when `at` is a unix socket */
    uint64_t id_hash;        /* of the text; the same in every process */
    char text[ADDR_TEXT_MAX]; /* "127.0.0.1:3000", for logs and variables */
    uint32_t text_n;
    idle_pool idle;
    uint32_t refs;           /* the group's list, requests that tried it */
    peer_state *st;          /* shared with the other workers, or own */
    uint32_t *held;          /* this worker's part of st->in_flight */
    peer_state *own;         /* owned */
    uint32_t own_held;
    uint32_t index;          /* in its tier */
    int weight, effective, current; /* smooth weighted round robin, each worker for itself */
    int max_conns, max_fails;
    int64_t window_ms;
    int told_weight;         /* by an SRV record; 0: none */
    bool told_backup;        /* likewise: not of the best priority */
    bool found;              /* while an answer of DNS is applied */
    bool backup;
    bool down, drained;      /* takes nothing new; drained: told to at run time */
    bool gone;               /* no longer configured; kept while attempts are in flight */
    uint64_t attempts, failures; /* of this worker */
    void *tls_session;       /* last TLS session, for resumption (stream_tls_client's slot) */
    uint64_t tls_session_tag; /* of the connection it was made on */
};

struct group {
    list node;
    group_set *set;
    uint32_t refs;           /* the set's current generation(s), attempts */
    str name;
    const struct conf_upstream *conf; /* numbers and switches only: &own, which outlives the configuration */
    struct conf_upstream own;
    list origins;            /* configured addresses (origin.h) */
    list peers;
    int npeers, nbackup;     /* all, and those of them that are backups */
    struct tier {            /* the same peers by tier: 0 primaries, 1 backups */
        peer **v;
        uint32_t n, cap;
        int weight;          /* sum */
        bool even;           /* all weights are the same */
        struct ring *ring;   /* points of hash_ring; made when first needed, dropped when peers change */
    } tiers[2];
    peers *shared;           /* where the workers' common state is; NULL: each for itself */
    seg *seg;
    uint32_t nidle;          /* parked connections, of all peers: at most own.keepalive_idle */
    struct probes *probes;   /* active checks; NULL: none */
    bool watches;            /* outcomes matter beyond failures (health.h) */
    bool lenient;            /* during a pick: nobody else is left, so health is not asked */
    bool joint_turns;        /* round robin counts in shared->, under its lock */
    tls_client *tls;         /* NULL: plain */
    uint64_t requests, retries;
    int64_t budget;          /* retries allowed now, in hundredths */
    int64_t budget_at_ms;
    uint64_t tls_hash;       /* of the TLS settings */
    uint64_t config_tag;     /* changes with TLS settings: parked connections of an older tag are not reused */
    nameserver *names;       /* who is asked for names; NULL: the set's resolver */
    bool unresolved;         /* at least one name has no address yet */
    bool awaits;             /* made at run time, its answer is out of date: no pick before the next one */
    /* -- made at run time (dynamic.h) */
    group *like, *twin;      /* whose settings, whose peers; NULL: configured; forgotten before those are freed */
    str dynamic_key;
    list lru;
};

struct pick_args {
    str key;                  /* for balance by hash; .p NULL: none */
    const addr *client;       /* for ip_hash; NULL: unknown */
    peer *const *tried;       /* peers this request has tried already */
    int ntried;
    int64_t now_ms;
};

/* All groups of a worker. */
group_set *group_set_new(loop *l, resolver *r);
void group_set_free(group_set *s);
loop *group_set_loop(const group_set *s);
/* Resolvers by their settings (nameserver.c): whoever asks the same servers in the same way shares one and its cache, over reloads too. Returns a reference; NULL when the
 * addresses are none. */
MUST_USE nameserver *nameserver_get(group_set *s, const struct conf_resolver *c);
nameserver *nameserver_ref(nameserver *n);
/* NULL is ignored. */
void nameserver_unref(nameserver *n);
resolver *nameserver_resolver(const nameserver *n);
/* Groups for a configuration, in the order of conf->g.upstreams: existing ones are updated in place when this is called (at commit), new ones made. out[] gets references. */
MUST_USE int group_set_apply(group_set *s, const conf *c, group **out, char *err, size_t errcap);
/* What was changed at run time, from now on and over reloads; takes the content of *c. Servers that are no longer added go as those do that are no longer configured: what is in
 * flight there finishes. */
void group_set_change(group_set *s, changes *c);
/* A server (or one of its addresses) is known to be well: what was held against it is forgotten. */
void group_bring_up(group_set *s, str upstream, const char *server, int64_t now_ms);
/* The name as a Host: a group made of a URL has that for a name. */
str group_host(const group *g);
group *group_ref(group *g);
void group_unref(group *g);
/* Chooses by the group's balance among eligible peers that were not tried; then among backups; counts the attempt in flight (until peer_done) and takes a reference (until
 * peer_unref: logs name the peer long after the attempt). NULL: none left. */
MUST_USE peer *group_pick(group *g, const struct pick_args *a);
/* A named peer ("127.0.0.1:3000", or as configured) for the balance hook; same counting. Taken even when ejected. */
MUST_USE peer *group_pick_named(group *g, str text, int64_t now_ms);
/* How an attempt went. Times in microseconds since its start; 0: did not come to that. */
struct peer_outcome {
    bool failed;              /* counts against the peer's health */
    int status;               /* of the response; 0: none came */
    int64_t header_us, total_us;
    bool header_told;         /* peer_heard was called */
};
/* An attempt that did not fail is over, and that is all there is to say. False: nothing was done, peer_done wants to know how it went. */
bool peer_leave(peer *p);
/* The attempt is over. The reference stays. */
void peer_done(peer *p, const struct peer_outcome *o, int64_t now_ms);
/* The head of the response came: for methods that count who still waits. */
void peer_heard(peer *p, int64_t header_us);
/* Requests in flight, of all workers where they share the state. */
uint32_t peer_in_flight(const peer *p);
peer *peer_ref(peer *p);
void peer_unref(peer *p);
/* No peer could be picked because a name is being looked up for the first time: the job is woken when an answer came, whatever it is. False: nothing to wait for. Asking again is
 * harmless. The caller has its own deadline and calls cancel when it goes away. */
bool group_wait_resolved(group *g, job *j);
void group_wait_cancel(group *g, job *j);
/* Peers that are not configured to be down. At least 1. */
int group_tries(const group *g);
bool peer_is_eligible(const peer *p, int64_t now_ms);
/* May one more retry be made? Counts it. The budget is a token bucket: each request adds its share (retry_budget percent), each second adds one retry, at most 100 are kept. */
bool group_may_retry(group *g, int64_t now_ms);
void group_count_request(group *g, int64_t now_ms);
void group_each(group_set *s, void (*fn)(group *g, void *arg), void *arg);

#endif
