/* policy.c — see policy.h. Load time only. */
#include "tls/policy.h"

#include "base/check.h"
#include "base/err.h"
#include "tls/cert.h"
#include "tls/ctx_impl.h"
#include "tls/tickets.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

/* The request is told; the handshake goes on. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static int use_crl(SSL_CTX *ssl, str pem, char *err, size_t errcap)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    REQUIRE(b);
    X509_CRL *crl;
    int n = 0;
    while ((crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL)) != NULL) {
        REQUIRE(X509_STORE_add_crl(store, crl) == 1);
        X509_CRL_free(crl);
        n++;
    }
    BIO_free(b);
    ERR_clear_error();
    if (n == 0) {
        snprintf(err, errcap, "no usable CRL");
        return ERR_CONF;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return 0;
}

static int use_verify(SSL_CTX *ssl, const struct tls_policy *p, char *err, size_t errcap)
{
    if (p->client_ca_pem.n) {
        STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
        REQUIRE(names);
        if (tls_cert_trust(SSL_CTX_get_cert_store(ssl), p->client_ca_pem, names, err, errcap) < 0) {
            sk_X509_NAME_pop_free(names, X509_NAME_free);
            return ERR_CONF;
        }
        SSL_CTX_set_client_CA_list(ssl, names); /* takes names */
    }
    if (p->trusted_pem.n && tls_cert_trust(SSL_CTX_get_cert_store(ssl), p->trusted_pem, NULL, err, errcap) < 0) {
        return ERR_CONF;
    }
    if (p->verify != TLS_VERIFY_OFF) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
        SSL_CTX_set_verify_depth(ssl, p->depth);
    }
    return p->crl_pem.n ? use_crl(ssl, p->crl_pem, err, errcap) : 0;
}

static int use_dhparam(SSL_CTX *ssl, str pem, char *err, size_t errcap)
{
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    REQUIRE(b);
    EVP_PKEY *params = PEM_read_bio_Parameters(b, NULL);
    BIO_free(b);
    if (!params || SSL_CTX_set0_tmp_dh_pkey(ssl, params) != 1) {
        EVP_PKEY_free(params);
        snprintf(err, errcap, "DH parameters: %s", tls_reason());
        return ERR_CONF;
    }
    return 0;
}

static int run_commands(SSL_CTX *ssl, const struct tls_policy *p, char *err, size_t errcap)
{
    SSL_CONF_CTX *c = SSL_CONF_CTX_new();
    REQUIRE(c);
    SSL_CONF_CTX_set_flags(c, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS);
    SSL_CONF_CTX_set_ssl_ctx(c, ssl);
    int rc = 0;
    ERR_clear_error();
    for (int i = 0; i + 1 < p->ncommands && rc == 0; i += 2) {
        if (SSL_CONF_cmd(c, p->commands[i].p, p->commands[i + 1].p) <= 0) {
            snprintf(err, errcap, "SSL_CONF_cmd(\"%s\", \"%s\") failed: %s", p->commands[i].p, p->commands[i + 1].p, tls_reason());
            rc = ERR_CONF;
        }
    }
    if (rc == 0 && SSL_CONF_CTX_finish(c) != 1) {
        snprintf(err, errcap, "SSL_CONF_finish() failed: %s", tls_reason());
        rc = ERR_CONF;
    }
    SSL_CONF_CTX_free(c);
    return rc;
}

static void use_sessions(SSL_CTX *ssl, const struct tls_policy *p)
{
    if (p->cache) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER);
        SSL_CTX_set_num_tickets(ssl, 1); /* without tickets of the client's: one that names the session here */
    }
    SSL_CTX_set_timeout(ssl, (long)p->session_s);
}

int tls_policy_use(tls_server *t, const struct tls_policy *p, char *err, size_t errcap)
{
    t->reject_all = p->reject;
    if (p->prefer_server) {
        SSL_CTX_set_options(t->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    }
    use_sessions(t->ssl, p);
    if (p->nticket_keys && tls_tickets_give(t, p->ticket_keys, p->nticket_keys) < 0) {
        snprintf(err, errcap, "a session ticket key must have 48 or 80 bytes");
        return ERR_CONF;
    }
    int rc = use_verify(t->ssl, p, err, errcap);
    if (rc == 0 && p->dhparam_pem.n) {
        rc = use_dhparam(t->ssl, p->dhparam_pem, err, errcap);
    }
    return rc;
}

int tls_policy_commands(tls_server *t, const struct tls_policy *p, char *err, size_t errcap)
{
    return p->ncommands ? run_commands(t->ssl, p, err, errcap) : 0;
}
