/* tempfile.h — an unlinked temporary file that body bytes are spilled to (0600, visible by name only when that is asked for). */
#ifndef FLOW_TEMPFILE_H
#define FLOW_TEMPFILE_H

#include "base/pool.h"
#include "base/slice.h"

typedef struct tempfile {
    fileref *file; /* NULL until the first append */
    int64_t size;  /* bytes written */
} tempfile;

void tempfile_init(tempfile *t);
void tempfile_fini(tempfile *t);
/* Makes the file now, with a name: the text in `p`, NUL-terminated. 0 or ERR_IO. Who asks removes it. */
MUST_USE int tempfile_open_named(tempfile *t, str dir, pool *p, str *name);
/* Gives a file that has no name one after all, as above; ERR_IO where the system does not do that. Who asks removes it. */
MUST_USE int tempfile_name(tempfile *t, str dir, pool *p, str *name);
/* Writes everything of `from` to the end (opening the file in `dir`, or TMPDIR, or /tmp) and pushes the same bytes as file slices on `to`.
 * 0 or ERR_IO (`from` is then partly consumed). */
MUST_USE int tempfile_append(tempfile *t, str dir, bufq *from, bufq *to);

#endif
