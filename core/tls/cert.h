/* cert.h — certificate chains and keys from PEM bytes. */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include "tls/ctx_impl.h"

/* Loads and checks that key and leaf belong together. 0, or ERR_CONF with a text in err. */
MUST_USE int tls_cert_load(const struct tls_cert_args *a, struct tls_cert *out, char *err, size_t errcap);
void tls_cert_fini(struct tls_cert *c);
/* One half each, into what was zeroed; 0 or ERR_CONF (tls_reason says why). */
MUST_USE int tls_cert_chain(str pem, struct tls_cert *out);
MUST_USE int tls_cert_key(str pem, const str *passwords, int npasswords, struct tls_cert *out);
/* References to what `from` has. */
void tls_cert_share(const struct tls_cert *from, struct tls_cert *to);
/* Adds every certificate of `pem` to the store; to `names` too unless NULL. The number added, or ERR_CONF. */
MUST_USE int tls_cert_trust(X509_STORE *store, str pem, STACK_OF(X509_NAME) *names, char *err, size_t errcap);

#endif
