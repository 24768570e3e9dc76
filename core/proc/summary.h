/* summary.h — what the master must know of a configuration, without running any of it: written as
 * facts into the bundle by the validation child, read back in the master. Texts are views into the
 * bundle, NUL-terminated. */
#ifndef PROC_SUMMARY_H
#define PROC_SUMMARY_H

#include "base/vec.h"
#include "conf/conf.h"
#include "proc/bundle.h"
#include "proc/ports.h"

typedef struct summary_dict {
    str name;
    int64_t size;
} summary_dict;

typedef struct summary_zone {
    str name;
    int64_t size, kind; /* enum conf_zone_kind */
} summary_zone;

typedef struct summary_cert {
    str site, cert_file, key_file;
    int64_t not_after_s; /* 0: unknown */
} summary_cert;

/* A server of an upstream, as configured. */
typedef struct summary_server {
    str upstream, address, label; /* label: its name in the configuration, when that is another; else empty */
    int64_t weight;
    bool down;
} summary_server;

typedef struct summary_policy {
    str name, hash;
} summary_policy;

typedef struct summary_errlog {
    str path;
    int64_t level;
    bool own; /* of the process; else only routes name it */
} summary_errlog;

typedef struct summary {
    int64_t workers; /* resolved: at least 1 */
    int64_t shutdown_ms, watchdog_ms, probation_ms;
    int64_t ticket_ms;
    int64_t generation_ms; /* 0: what began under an older configuration may go on */
    int64_t error_level;   /* where no error log is named */
    bool watch, nginx, daemon;
    str user, group, pid, admin_socket, resolver, upstream_state; /* empty: absent */
    VEC(summary_errlog) error_logs;
    VEC(str) sources; /* files of the configuration, in the order they were read */
    VEC(str) addresses; /* of the listeners, in the order of the configuration */
    VEC(struct port_wish) wishes; /* in the same order */
    VEC(summary_dict) dicts;
    VEC(summary_zone) zones;
    VEC(summary_cert) certs;
    VEC(summary_policy) policies;
    VEC(str) upstreams; /* names */
    VEC(summary_server) servers;
    VEC(str) access_logs; /* paths */
    VEC(str) optional_logs; /* the same, where it does not matter when they cannot be opened */
} summary;

/* Child: facts of everything but policies. */
void summary_record(bundle_draft *d, const conf *c);
void summary_record_policy(bundle_draft *d, str name, str hash);
/* Master: 0, or ERR_CONF when a fact is missing or malformed. summary_fini in either case. */
MUST_USE int summary_read(const bundle *b, summary *out);
void summary_fini(summary *s);

#endif
