/* h2_client.h — HTTP/2 as a fetch's protocol. */
#ifndef BACK_H2_CLIENT_H
#define BACK_H2_CLIENT_H

#include "base/attr.h"

struct fetch;

/* The leased connection speaks HTTP/2: gives it its session (kept while it is parked), and the fetch these client_ops. 0 or ERR_MEM. */
MUST_USE int h2_client_attach(struct fetch *f);

#endif
