/* filter_compress.h — gzip, brotli and zstd for clients that accept them (RFC 9110 §12.5.3), and the way back for those that do not take gzip. */
#ifndef FLOW_FILTER_COMPRESS_H
#define FLOW_FILTER_COMPRESS_H

#include "flow/filter.h"
#include "flow/plan.h"
#include "http/coding.h"

extern const struct filter filter_compress;
extern const struct filter filter_gunzip;

typedef struct compress_rules compress_rules;

/* Of a route; *out NULL: it neither compresses nor has compressed files. A text in err: a pattern is wrong. */
MUST_USE int filter_compress_compile(const route *rt, pool *p, compress_rules **out, char *err, size_t errcap);
/* Appends to Vary unless it says so already (or "*"). */
MUST_USE int filter_vary(req *r, str name);
/* Codings in which a file may be sent that lies there compressed, best first: their number. */
int filter_packed_codings(req *r, enum coding out[CODING_COUNT]);
/* Vary of a file that may lie there compressed. */
MUST_USE int filter_packed_vary(req *r);
/* May this client have gzip, by the route's tests of the request (and of r->res for what comes through proxies)? */
bool filter_gzip_is_ok(req *r);

#endif
