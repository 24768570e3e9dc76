/* filter_range.h — 206 and multipart/byteranges (RFC 9110 §14, §15.3.7) of whole representations. */
#ifndef FLOW_FILTER_RANGE_H
#define FLOW_FILTER_RANGE_H

#include "flow/filter.h"

extern const struct filter filter_range;

#endif
