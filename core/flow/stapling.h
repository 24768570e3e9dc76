/* stapling.h — fetches the OCSP responses that a site's server staples (tls/staple.h), when handshakes want them. */
#ifndef FLOW_STAPLING_H
#define FLOW_STAPLING_H

#include "base/attr.h"

#include <stddef.h>

typedef struct plan plan;
typedef struct site site;
typedef struct tls_server tls_server;

/* At load, after the server's certificates and authorities. What it makes ends with the plan. */
void stapling_use(plan *p, const site *s, tls_server *t);

#endif
