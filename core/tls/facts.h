/* facts.h — what is known about a TLS connection and the client's certificate, as texts. */
#ifndef TLS_FACTS_H
#define TLS_FACTS_H

#include "base/pool.h"

typedef struct stream stream;

enum tls_fact {
    TLS_FACT_ALPN, TLS_FACT_CIPHERS, TLS_FACT_CURVE, TLS_FACT_CURVES, TLS_FACT_SIGALG, TLS_FACT_CLIENT_SIGALG, TLS_FACT_EARLY_DATA,
    TLS_FACT_SESSION_ID, TLS_FACT_SESSION_REUSED,
    TLS_FACT_CERT, TLS_FACT_RAW_CERT, TLS_FACT_ESCAPED_CERT, TLS_FACT_S_DN, TLS_FACT_I_DN, TLS_FACT_S_DN_LEGACY, TLS_FACT_I_DN_LEGACY,
    TLS_FACT_SERIAL, TLS_FACT_FINGERPRINT, TLS_FACT_VERIFY, TLS_FACT_V_START, TLS_FACT_V_END, TLS_FACT_V_REMAIN,
    TLS_FACT_COUNT
};

/* In `p`, or static; .p NULL: there is no such thing. */
str tls_fact(const stream *s, enum tls_fact what, pool *p);

/* X509_V_OK (0), or why the client's certificate did not verify; *text: in words; *has: it sent one; *no_ca: only the issuer is unknown. */
long tls_client_verdict(const stream *s, bool *has, bool *no_ca, const char **text);
/* SNI, lower case, of a name that the server knew; borrowed. */
str tls_server_name(const stream *s);
/* The session of a client that was refused must not be resumed. */
void tls_forget_session(const stream *s);

#endif
