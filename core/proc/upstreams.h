/* upstreams.h — `moongate upstream …`: what operators change in upstreams while the gateway runs.
 *
 * The master has the list (back/changes.h) and its file, and judges every wish against the configuration in force; a wish that is granted is first written to the file
 * (a new one, renamed over the old), then told to all workers at once. A reload leaves the list alone; what it says of servers or upstreams that are gone has no effect until they
 * are there again. A file that is damaged is reported and not used; the next change makes a new one. */
#ifndef PROC_UPSTREAMS_H
#define PROC_UPSTREAMS_H

#include "back/changes.h"

struct master;
struct status; /* status.h */
struct crew_worker;

typedef struct upstreams {
    changes all;
    char path[4096]; /* of the file; empty: there is no place for one */
    bool own_place;  /* the default one: its folder is made when it is needed */
    char event[600]; /* for the workers, of the last wish: "up UPSTREAM SERVER", or empty */
} upstreams;

/* At the start, before workers are forked. */
void upstreams_open(struct master *m);
/* A configuration was committed: it may name another file. */
void upstreams_follow(struct master *m);
void upstreams_fini(upstreams *u);
/* "drain app 127.0.0.1:3000". 0: granted and kept; ERR_AGAIN: ask again with what the workers report (`seen`), for the server is not in the configuration but may be an
 * address of a name; else refused. `text`: the answer in words. */
MUST_USE int upstreams_wish(struct master *m, str line, const struct status *seen, char *text, size_t cap);
/* Tells all workers; those that were told, by `fn`. They answer with the ticket. */
void upstreams_tell(struct master *m, uint64_t ticket, void (*fn)(void *arg, const struct crew_worker *w), void *arg);
/* The page of `upstream list`; `only` empty: all. NUL-terminated, to be freed; NULL: no upstream of that name. */
char *upstreams_text(const struct status *s, const struct master *m, str only, size_t *n);
char *upstreams_json(const struct status *s, const struct master *m, str only, size_t *n);
/* "no upstream is named "x"; there are: a, b" */
void upstreams_say_unknown(const struct master *m, str upstream, char *text, size_t cap);
bool upstreams_has(const struct master *m, str upstream);

#endif
