/* filter_store.h — what an upstream answered is kept as a file (nginx's proxy_store): there as a whole, when all of it came, or not at all. */
#ifndef FLOW_FILTER_STORE_H
#define FLOW_FILTER_STORE_H

#include "flow/filter.h"

extern const struct filter filter_store;

#endif
