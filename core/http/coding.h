/* coding.h — content codings and Accept-Encoding (RFC 9110 §8.4.1, §12.5.3). Pure. */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include "http/headers.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_BR, CODING_ZSTD, CODING_COUNT };

/* What a client accepts: weights in thousandths, -1: not named. */
struct coding_wishes {
    int q[CODING_COUNT];
    int star; /* of "*" */
};

str coding_name(enum coding c);
/* CODING_COUNT: none of ours. "x-gzip" is gzip (§8.4.1.3). */
enum coding coding_find(str name);
/* Malformed members are skipped; a malformed weight counts as 0. */
void coding_wishes(const headers *in, struct coding_wishes *out);
/* The most wanted among `offered` (in our order of preference; ties go to the first), CODING_IDENTITY when none is accepted or identity is wanted
 * more. `star`: does "*" speak for codings that are not named? */
enum coding coding_choose(const struct coding_wishes *w, const enum coding *offered, int n, bool star);

#endif
