/* bundle.h — everything a generation is made of, read once: the bytes of every file (configuration,
 * policies, certificates, keys), the environment values it asked for, and a summary of what the
 * master needs to know. Sealed in a memfd and named by its SHA-256, so that a worker that starts
 * later gets exactly what was validated, whatever the disk holds by then and whatever the worker
 * may read.
 *
 * Written by the throw-away validation child (bundle_draft), mapped read-only by master and workers
 * (bundle). */
#ifndef PROC_BUNDLE_H
#define PROC_BUNDLE_H

#include "base/str.h"

typedef struct bundle bundle;
typedef struct bundle_draft bundle_draft;

enum bundle_kind {
    BUNDLE_FILE = 1, /* path → bytes */
    BUNDLE_ENV,  /* name → value; what was absent is not stored, and absent again at the replay */
    BUNDLE_LIST, /* glob pattern → paths, one per line */
    BUNDLE_FACT, /* the summary (summary.h): keys may repeat, order is kept */
    BUNDLE_KINDS
};

enum { BUNDLE_HASH_LEN = 64 /* hex digits */ };

bundle_draft *bundle_draft_new(void);
void bundle_draft_free(bundle_draft *d);
/* Copies. A key of the same kind that is there already is kept as it is, but facts may repeat. */
void bundle_add(bundle_draft *d, enum bundle_kind kind, str key, str value);
/* The stored value; false when it was not added. */
bool bundle_draft_find(const bundle_draft *d, enum bundle_kind kind, str key, str *value);
/* Writes everything with its hash to `fd` and rewinds. 0 or ERR_*. */
MUST_USE int bundle_draft_write(bundle_draft *d, int fd);

/* An empty memfd to be written by a child; < 0: ERR_*. */
MUST_USE int bundle_memfd(void);
/* Seals (if nobody did), maps and checks. Takes `fd` whatever happens. One reference, or NULL with
 * a text in err. */
MUST_USE bundle *bundle_open(int fd, char *err, size_t errcap);
bundle *bundle_ref(bundle *b);
void bundle_unref(bundle *b); /* NULL is ignored */
/* Borrowed. */
int bundle_fd(const bundle *b);
/* Hex, NUL-terminated; of files, environment and lists, not of the facts. */
const char *bundle_hash(const bundle *b);
size_t bundle_size(const bundle *b);
bool bundle_find(const bundle *b, enum bundle_kind kind, str key, str *value);
/* Walks in the order of adding; start with *at = 0; false at the end. Views into the mapping. */
bool bundle_next(const bundle *b, size_t *at, enum bundle_kind *kind, str *key, str *value);

#endif
