/* filter_refresh.h — redirects of ours as pages that refresh, for old Internet Explorer (nginx's msie_refresh): a head part only. */
#ifndef FLOW_FILTER_REFRESH_H
#define FLOW_FILTER_REFRESH_H

#include "flow/filter.h"

extern const struct filter filter_refresh;

#endif
