/* range.h — the Range field (RFC 9110 §14) against a representation of known size. Pure: bytes in, positions out. */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include "base/str.h"

#include <stdint.h>

typedef struct range {
    int64_t from, end; /* end: one past the last byte; 0 <= from < end <= size */
} range;

/* More than this many parts are never made, whatever the configuration says. */
enum { RANGE_MAX = 1024 };
enum { RANGE_WHOLE = 0, RANGE_UNSATISFIABLE = -1 };

/* The ranges asked for, in the order of the field: their number; RANGE_WHOLE: the field is to be ignored (another unit, more than `max` ranges, together more
 * bytes than there are: overlaps would multiply the work, §14.2); RANGE_UNSATISFIABLE: 416. `max`: 1 to RANGE_MAX; `out` has room for that many. `lean`: many
 * small ranges whose part headers outweigh what is saved are ignored too. */
int range_parse(str value, int64_t size, int max, bool lean, range *out);
/* How many ranges may the field have, at most (the commas, counted): for the room of `out`. */
int range_count(str value);

#endif
