/* policy.h — the TLS settings of one site, for a server context that SNI chooses. Client certificates that do not verify do not end the
 * handshake: whoever answers the request asks for the result (facts.h). */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include "tls/ctx.h"

enum tls_policy_verify { TLS_VERIFY_OFF, TLS_VERIFY_OPTIONAL, TLS_VERIFY_ON, TLS_VERIFY_OPTIONAL_NO_CA };

struct tls_policy {
    int verify; /* enum tls_policy_verify */
    int depth;
    str client_ca_pem, trusted_pem, crl_pem, dhparam_pem; /* empty: none */
    bool prefer_server, reject;
    bool cache; /* sessions are kept in this process */
    int64_t session_s;
    const str *commands; /* name, value, name, value... */
    int ncommands;
    const str *ticket_keys; /* tls_tickets_give */
    int nticket_keys;
};

/* 0, or ERR_CONF with a text in err. */
MUST_USE int tls_policy_use(tls_server *t, const struct tls_policy *p, char *err, size_t errcap);
/* Its commands, which may change everything else, certificates too: last. */
MUST_USE int tls_policy_commands(tls_server *t, const struct tls_policy *p, char *err, size_t errcap);

#endif
