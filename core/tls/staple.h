/* staple.h — OCSP responses (RFC 6960) that a server sends beside its certificates (RFC 6066 §8). Who fetches them is told when one is wanted. */
#ifndef TLS_STAPLE_H
#define TLS_STAPLE_H

#include "tls/ctx.h"

/* A response for certificate `i` is wanted soon: there is none, or it gets old. Called from handshakes: quick, and each time anew. */
typedef void tls_staple_fn(void *arg, int i);

struct tls_staple_args {
    str fixed;  /* DER of the one that is sent, whatever it says; empty: they are fetched */
    bool verify; /* its signer's chain too; else the responder is believed to be who answers there */
    tls_staple_fn *wanted;
    void *arg; /* must outlive handshakes that are under way */
};

/* After the certificates and authorities of `t`. The number of certificates. */
int tls_staple_use(tls_server *t, const struct tls_staple_args *a);
/* The question about certificate `i`, DER in base64, to free(); .p NULL: its issuer is not known. */
str tls_staple_question(const tls_server *t, int i);
/* The responder that the certificate names, to free(); .p NULL: none. */
str tls_staple_responder(const tls_server *t, int i);
/* What the responder said. 0, or ERR_INVALID with a text in err. */
MUST_USE int tls_staple_take(tls_server *t, int i, str der, char *err, size_t errcap);
void tls_staple_drop(tls_server *t);

#endif
