/* filter_addition.h — what other paths of the site answer, in front of an answer and behind it. */
#ifndef FLOW_FILTER_ADDITION_H
#define FLOW_FILTER_ADDITION_H

#include "flow/filter.h"

extern const struct filter filter_addition;

#endif
