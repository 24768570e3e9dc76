/* log_cache.h — files that logs name by request, kept open for a while. */
#ifndef FLOW_LOG_CACHE_H
#define FLOW_LOG_CACHE_H

#include "base/str.h"

typedef struct log_cache log_cache;

struct log_cache_args {
    int64_t max;      /* names that are remembered */
    int64_t min_uses; /* within `unused_ms`: then the file stays open */
    int64_t unused_ms; /* forgotten when nobody wrote for so long */
    int64_t unseen_ms; /* is it still the file of that name? asked after this */
};

log_cache *log_cache_new(const struct log_cache_args *a);
void log_cache_free(log_cache *c);
/* As log_file_once. */
MUST_USE int log_cache_write(log_cache *c, const char *path, str line);

#endif
