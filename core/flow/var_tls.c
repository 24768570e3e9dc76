/* var_tls.c — what a TLS connection and the client's certificate are called in variables. A value is made once per request; those that a log
 * wants are made before the request leaves the connection. */
#include "flow/var.h"
#include "flow/var_impl.h"
#include "tls/facts.h"

static str fact_of(req *r, enum tls_fact what)
{
    if (!r->client.tls) {
        return VAR_ABSENT;
    }
    if (!r->client.facts) {
        r->client.facts = pool_zalloc(&r->pool, sizeof(str) * TLS_FACT_COUNT);
    }
    str *v = &r->client.facts[what];
    if (!v->p && r->client.stream) {
        *v = tls_fact(r->client.stream, what, &r->pool);
    }
    return v->p ? *v : VAR_ABSENT;
}

void var_know_facts(req *r)
{
    for (int i = 0; i < TLS_FACT_COUNT; i++) {
        (void)fact_of(r, (enum tls_fact)i);
    }
}

/* table: variables and what they show */
#define FACTS(X) \
    X(ssl_alpn_protocol, TLS_FACT_ALPN) \
    X(ssl_ciphers, TLS_FACT_CIPHERS) \
    X(ssl_curve, TLS_FACT_CURVE) \
    X(ssl_curves, TLS_FACT_CURVES) \
    X(ssl_sigalg, TLS_FACT_SIGALG) \
    X(ssl_client_sigalg, TLS_FACT_CLIENT_SIGALG) \
    X(ssl_early_data, TLS_FACT_EARLY_DATA) \
    X(ssl_session_id, TLS_FACT_SESSION_ID) \
    X(ssl_session_reused, TLS_FACT_SESSION_REUSED) \
    X(ssl_client_cert, TLS_FACT_CERT) \
    X(ssl_client_raw_cert, TLS_FACT_RAW_CERT) \
    X(ssl_client_escaped_cert, TLS_FACT_ESCAPED_CERT) \
    X(ssl_client_s_dn, TLS_FACT_S_DN) \
    X(ssl_client_i_dn, TLS_FACT_I_DN) \
    X(ssl_client_s_dn_legacy, TLS_FACT_S_DN_LEGACY) \
    X(ssl_client_i_dn_legacy, TLS_FACT_I_DN_LEGACY) \
    X(ssl_client_serial, TLS_FACT_SERIAL) \
    X(ssl_client_fingerprint, TLS_FACT_FINGERPRINT) \
    X(ssl_client_verify, TLS_FACT_VERIFY) \
    X(ssl_client_v_start, TLS_FACT_V_START) \
    X(ssl_client_v_end, TLS_FACT_V_END) \
    X(ssl_client_v_remain, TLS_FACT_V_REMAIN)

#define X(name, fact)                    \
    str var_get_##name(req *r, str arg)  \
    {                                    \
        (void)arg;                       \
        return fact_of(r, fact);         \
    }
FACTS(X)
#undef X
