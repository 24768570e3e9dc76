/* filter_trailers.h — fields behind the body (RFC 9110 §6.5): those of the route, evaluated when the body is over, after those of the upstream. */
#ifndef FLOW_FILTER_TRAILERS_H
#define FLOW_FILTER_TRAILERS_H

#include "flow/filter.h"

extern const struct filter filter_trailers;

#endif
