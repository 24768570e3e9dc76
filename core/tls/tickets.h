/* tickets.h — session tickets under keys that all workers share. */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include "tls/ctx.h"

#include <openssl/ssl.h>

/* Makes the context use the shared keys; before tls_tickets_attach, and while the shared block is empty, keys of this process. */
void tls_tickets_use(SSL_CTX *ssl);
/* Keys of this server's own, the first to write with: 16 bytes of name, then 16 of AES and 16 of HMAC, or 32 of HMAC and 32 of AES. Others: ERR_CONF. */
MUST_USE int tls_tickets_give(tls_server *t, const str *keys, int n);
void tls_tickets_drop(tls_server *t);

#endif
