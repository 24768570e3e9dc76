/* hook.h — what script/ may decide about TLS handshakes (filled by script/, NULL otherwise). */
#ifndef TLS_HOOK_H
#define TLS_HOOK_H

#include "base/str.h"

struct tls_hook {
    /* Client hello seen: 0 go on, ERR_AGAIN parked (job woken later), other: refuse. */
    int (*client_hello)(void *conn, str server_name);
};

extern const struct tls_hook *tls_hook;

#endif
