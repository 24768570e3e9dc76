/* filter.h — what may change a response on its way to the client, beside the body hook: one row per filter in a static table, in a fixed order.
 *
 *   body hook → [refresh: heads only] → store → gunzip → addition → replace → charset → ssi → compress → range → [spool] → rate → trailers → protocol
 *
 * A filter has a head part, run by step_reply once before the head is sent, and a body part, a sink that chain.c puts in front of the next one. Which filters
 * are asked is a mask: the route's (filled when the plan is made) and the request's. An exchange whose mask is empty pays one test. */
#ifndef FLOW_FILTER_H
#define FLOW_FILTER_H

#include "flow/req.h"

enum filter_id { FILTER_REFRESH, FILTER_STORE, FILTER_GUNZIP, FILTER_ADDITION, FILTER_REPLACE, FILTER_CHARSET, FILTER_SSI, FILTER_COMPRESS, FILTER_RANGE, FILTER_RATE, FILTER_TRAILERS, FILTER_COUNT };

/* Filters from here on stand behind the spool: they slow the client's side down, not the upstream's. */
enum { FILTER_BEHIND_SPOOL = FILTER_RATE };

#define FILTER_BIT(id) (1u << FILTER_##id)

struct filter {
    const char *name;
    /* When the plan is made: does this route ever want it? NULL: only requests ask for it (req.filters). */
    bool (*wants)(const route *rt);
    /* May change r->res (status, fields, framing). 1: it takes part in the body; 0: not in this response; < 0: ERR_*, answered as an error. */
    int (*head)(req *r);
    /* Its sink in front of `next`, in r->pool. NULL: it has a head part only. */
    sink *(*body)(req *r, sink *next);
};

/* Mask of the filters a route wants. */
uint32_t filter_mask(const route *rt);
/* What this exchange may pass through: the mask of its route and its own. */
uint32_t filter_wanted(const req *r);
/* Runs the head parts in order; r->filters_on tells who takes part in the body. 0 or < 0. */
MUST_USE int filter_heads(req *r);
/* The sinks of those who take part, in front of `next`: the ones behind the spool, or the ones before it. */
sink *filter_sinks(req *r, sink *next, bool behind_spool);

/* For head parts. Can the body still be changed here: there is one, and it is sent in full (no 206)? */
bool filter_has_body(const req *r);
/* The body will be another one, of unknown length: no Content-Length, no ranges, a strong ETag becomes weak (RFC 9110 §8.8.1). */
void filter_new_body(req *r);
/* Is the media type, whatever its parameters, `always` (empty: none) or one of the list ("*": all)? */
struct conf_strs;
bool filter_is_type(const struct conf_strs *types, str type, str always);
/* The same bytes, another representation: "W/" in front of a strong ETag. */
void filter_weaken_etag(req *r);

#endif
