/* conditional.h — preconditions of a request (RFC 9110 §13) against the validators of a representation. Pure. */
#ifndef HTTP_CONDITIONAL_H
#define HTTP_CONDITIONAL_H

#include "http/headers.h"

/* What If-Modified-Since means. RFC: not later than the date, and unheard beside If-None-Match (§13.1.3). The others are nginx's: it counts beside
 * If-None-Match (both must hold), and means nothing, the very date, or not later. */
enum conditional_since { CONDITIONAL_RFC, CONDITIONAL_OFF, CONDITIONAL_EXACT, CONDITIONAL_BEFORE };

struct conditional_args {
    const headers *in;  /* of the request */
    str etag;           /* .n == 0: none */
    int64_t modified_s; /* -1: unknown */
    enum conditional_since since;
};

enum { CONDITIONAL_PASS, CONDITIONAL_NOT_MODIFIED, CONDITIONAL_FAILED };

int conditional_check(const struct conditional_args *a);
/* If-Range: does the Range field count? */
bool conditional_if_range(str value, str etag, int64_t modified_s);
/* Is the tag in the list of If-Match (strong comparison) or If-None-Match (weak)? "*" matches any, an absent tag too. */
bool conditional_lists_tag(str list, str etag, bool weak);

#endif
