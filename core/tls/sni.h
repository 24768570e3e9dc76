/* sni.h — what a server decides from the client hello: certificate by name, session context, application protocol. */
#ifndef TLS_SNI_H
#define TLS_SNI_H

#include "tls/ctx_impl.h"

/* Installs the callbacks; `t` is borrowed for the life of the context, which it owns. */
void tls_sni_use(SSL_CTX *ssl, tls_server *t);
/* Likewise, for a server with `certify`. */
void tls_sni_certify(SSL_CTX *ssl, tls_server *t);

#endif
