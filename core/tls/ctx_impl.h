/* ctx_impl.h — bodies of the contexts, for the files of tls/ only.
 *
 * One SSL_CTX serves all names of a listener. It holds the default certificates; a handshake whose name maps to another set gets that set's
 * certificates loaded into its SSL object, which is a few reference counts, not another context per site. */
#ifndef TLS_CTX_IMPL_H
#define TLS_CTX_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "tls/ctx.h"

#include <openssl/ssl.h>

enum { TLS_SET_MAX = 4, TLS_ID_SIZE = 32, TLS_NAME_MAX = 255 };

/* A leaf, its chain and its key. */
struct tls_cert {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) *chain; /* without the leaf; NULL: none */
};

/* The certificates of one name, at most one per key type. */
struct tls_set {
    struct tls_set *next;
    struct tls_cert *cert[TLS_SET_MAX]; /* borrowed from the server's list */
    int n;
    bool is_default;
    bool no_h2;                    /* its site does not speak it */
    unsigned char id[TLS_ID_SIZE]; /* session id context: no resumption across names */
    char *name;                    /* lower case; "*.example.com" is kept as ".example.com" */
};

struct tls_server {
    unsigned refs;
    SSL_CTX *ssl;
    bool tickets, alpn_h2, reject_unknown, reject_all;
    tls_choose_fn *choose; /* NULL: one server for all names */
    void *choose_arg;
    tls_certify_fn *certify; /* NULL: they are in the context */
    void *certify_arg;
    struct tls_staples *staples; /* NULL: none */
    struct tls_ticket_keys *ticket_keys; /* its own; NULL: those that all share */
    char *id_context;
    map names, wildcards; /* → struct tls_set */
    struct tls_set *sets; /* all of them */
    struct tls_set *fallback;
    struct tls_cert **certs;
    size_t ncerts;
};

struct tls_client {
    unsigned refs;
    list node; /* among the living ones */
    uint64_t id;
    SSL_CTX *ssl;
    bool verify, no_sni;
};

/* The set for a lower-case name; NULL: unknown. */
struct tls_set *tls_server_find(const tls_server *t, str name);
/* What server and client contexts share: protocol range, TLS 1.2 ciphers (NULL: ours), modes. 0, or ERR_CONF with a text in err. */
MUST_USE int tls_ctx_common(SSL_CTX *ssl, const char *names, const char *ciphers, char *err, size_t errcap);
/* The last OpenSSL reason (static text); empties the error queue. */
const char *tls_reason(void);

#endif
