/* ctx.h — TLS contexts. A server context belongs to a listener's set of sites (SNI chooses the certificate), a client one to an upstream.
 * PEM bytes come from the bundle, never from disk here. */
#ifndef TLS_CTX_H
#define TLS_CTX_H

#include "base/str.h"

typedef struct tls_server tls_server;
typedef struct tls_client tls_client;

struct tls_cert_args {
    str cert_pem;  /* chain, leaf first */
    str key_pem;
    const char *cert_name, *key_name; /* for messages */
    const str *passwords;             /* of the key, when it is encrypted */
    int npasswords;
};

struct tls_server_args {
    const char *protocols;   /* "TLSv1.2 TLSv1.3" */
    const char *ciphers;     /* TLS 1.2 list; NULL: Mozilla intermediate */
    const char *groups;      /* NULL: "X25519:P-256:P-384" */
    bool alpn_h2;            /* offer h2 before http/1.1 */
    bool tickets;
    str client_ca_pem;       /* empty: no client certificates */
    int verify_client;       /* 0 off, 1 optional, 2 on */
    const char *id_context;  /* session id context: listener + name + client policy */
};

/* "OpenSSL 3.0.22 25 Aug 2026": the library in use. */
const char *tls_library(void);

/* Checks that the pair belongs together, is readable and not expired. 0, or ERR_CONF with a text in err. `*not_after` (epoch s) and names for status; names are checked
 * against `host` with tls_cert_covers. */
MUST_USE int tls_cert_check(const struct tls_cert_args *a, char *err, size_t errcap, int64_t *not_after);
bool tls_cert_covers(const struct tls_cert_args *a, str host);

/* Finds the server whose settings and certificates a name gets (which may be the one that asks); NULL: the one that asks. */
typedef tls_server *tls_choose_fn(void *arg, str name);
/* `arg` must outlive handshakes that are under way. */
void tls_server_choose(tls_server *t, tls_choose_fn *fn, void *arg);

typedef struct stream stream;
/* Chooses the certificates of a handshake that is under way (tls_vault_present); false: there are none for it. */
typedef bool tls_certify_fn(void *arg, stream *s);
/* Instead of certificates that were added. `arg` as above. */
void tls_server_certify(tls_server *t, tls_certify_fn *fn, void *arg);

/* NULL with a text in err. */
MUST_USE tls_server *tls_server_new(const struct tls_server_args *a, char *err, size_t errcap);
/* Adds a certificate for exact or *.wildcard names; the first added is the default one for unknown names and for no SNI. Several certificates of
 * different key types for one name are allowed. */
MUST_USE int tls_server_add(tls_server *t, const struct tls_cert_args *cert, const str *names, int nnames, char *err, size_t errcap);
/* Clients that name one of these are not offered h2, whatever alpn_h2 says; the names were added before. */
void tls_server_refuse_h2(tls_server *t, const str *names, int nnames);
/* reject_unknown: handshakes with an unknown name fail with unrecognized_name. */
void tls_server_reject_unknown(tls_server *t, bool on);
tls_server *tls_server_ref(tls_server *t);
void tls_server_unref(tls_server *t);

struct tls_client_args {
    bool verify;
    bool no_sni;             /* the name is verified, not sent */
    int verify_depth;        /* 0: OpenSSL's */
    str ca_pem;              /* empty: the system's */
    str crl_pem;             /* every certificate of the chain is looked up in these; empty: none */
    const char *protocols, *ciphers;
    str cert_pem, key_pem;   /* client certificate; empty: none */
    const str *passwords;    /* as in tls_cert_args */
    int npasswords;
    bool alpn_h2;
    const str *commands;     /* SSL_CONF names and values, in turns */
    int ncommands;
};
/* A context with exactly these settings: a living one is shared. */
MUST_USE tls_client *tls_client_new(const struct tls_client_args *a, char *err, size_t errcap);
/* The same for equal settings, different for others: what a connection was opened with. */
uint64_t tls_client_id(const tls_client *t);
tls_client *tls_client_ref(tls_client *t);
void tls_client_unref(tls_client *t);

/* Shared ticket keys: 3 keys in memory shared by the workers (caller provides the mapping, zeroed at first), rotated by the master. */
enum { TLS_TICKETS_SIZE = 512 };
void tls_tickets_attach(void *shared);
/* New current key; the two before stay good for decryption. */
void tls_tickets_rotate(void *shared, int64_t now_s);

#endif
