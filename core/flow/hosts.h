/* hosts.h — the sites of a listener by host name.
 *
 * Precedence: the exact name; "*.example.com", the longest first; "www.*", the longest first; "~regex" in
 * file order. ".example.com" is the name and every name below it. A site named "*" takes what is left.
 * Names are compared in lower case; "" is a request without a host. */
#ifndef FLOW_HOSTS_H
#define FLOW_HOSTS_H

#include "base/pool.h"
#include "base/str.h"

struct site;
typedef struct hosts hosts;
typedef struct regex regex;
typedef struct regex_match regex_match;

/* Which regex took a host, for its captures. */
struct host_match {
    const regex *re;
    regex_match *m;
    str host;
};

hosts *hosts_new(pool *p);
/* `first_wins`: a name that is taken stays with its first site; else that is an error, and *taken that site. 0 or ERR_CONF with a
 * text in err (NULL *taken: a bad regex). */
MUST_USE int hosts_add(hosts *h, struct site *s, str name, bool first_wins, struct site **taken, char *err, size_t errcap);
/* The site, or NULL. `match` (may be NULL) is filled from `p` when a regex matched. */
struct site *hosts_find(const hosts *h, str host, pool *p, struct host_match **match);

#endif
