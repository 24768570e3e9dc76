/* log_gzip.h — a piece of a log as a member of a gzip file. */
#ifndef FLOW_LOG_GZIP_H
#define FLOW_LOG_GZIP_H

#include "base/str.h"

/* The bytes (to be freed) and their number; NULL when there is no memory. */
MUST_USE char *log_gzip(str text, int level, size_t *n);

#endif
