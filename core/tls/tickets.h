/* tickets.h — session tickets under keys that all workers share. */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include "tls/ctx.h"

#include <openssl/ssl.h>

/* Makes the context use the shared keys; before tls_tickets_attach, and while the shared block is empty, keys of this process. */
void tls_tickets_use(SSL_CTX *ssl);

#endif
