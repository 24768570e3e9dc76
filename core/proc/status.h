/* status.h — the state of the whole gateway on one page: what the master knows, and the workers'
 * reports (report.h) added up. */
#ifndef PROC_STATUS_H
#define PROC_STATUS_H

#include "proc/crew.h"

struct master;
typedef struct status status;

status *status_new(void);
void status_free(status *s);
/* Reads a worker's report; `fd` stays the caller's. What does not parse is left out. */
void status_add(status *s, const crew_worker *w, int fd);
/* NUL-terminated, to be freed; *n without the NUL. */
char *status_json(status *s, struct master *m, size_t *n);
char *status_text(status *s, struct master *m, size_t *n);

#endif
