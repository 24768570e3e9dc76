/* access_log.h — access logs: JSON lines or templates, for requests that a condition picks, to files (log_file.h), syslog servers, or files named by the request. */
#ifndef FLOW_ACCESS_LOG_H
#define FLOW_ACCESS_LOG_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

struct conf_log;
struct req;
typedef struct loop loop;
typedef struct pool pool;
typedef struct access_log access_log;

/* Checks a definition (its template) without opening anything. 0, or ERR_CONF with a text in err. */
MUST_USE int access_log_check(const struct conf_log *c, char *err, size_t errcap);
/* One per conf log; files are opened with O_APPEND. Logs of the same path share a descriptor across generations. NULL with a text in err. */
MUST_USE access_log *access_log_open(loop *l, const struct conf_log *c, pool *p, char *err, size_t errcap);
void access_log_close(access_log *a);
/* Does a line need what the connection knows (tmpl_uses_connection)? */
bool access_log_uses_connection(const access_log *a);
void access_log_write(access_log *a, struct req *r);
/* What is written by the end of the turn is written now. */
void access_log_settle(access_log *a);

#endif
