/* cert.h — certificate chains and keys from PEM bytes. */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include "tls/ctx_impl.h"

/* Loads and checks that key and leaf belong together. 0, or ERR_CONF with a text in err. */
MUST_USE int tls_cert_load(const struct tls_cert_args *a, struct tls_cert *out, char *err, size_t errcap);
void tls_cert_fini(struct tls_cert *c);
/* Adds every certificate of `pem` to the store; to `names` too unless NULL. The number added, or ERR_CONF. */
MUST_USE int tls_cert_trust(X509_STORE *store, str pem, STACK_OF(X509_NAME) *names, char *err, size_t errcap);

#endif
