/* client_ctx.c — contexts towards upstreams (ctx.h). Equal settings share one context: a generation that changes nothing keeps its sessions, and
 * connections in a pool are known by the settings they were opened with. */
#include "tls/ctx.h"

#include "base/check.h"
#include "base/err.h"
#include "base/hash.h"
#include "tls/cert.h"
#include "tls/ctx_impl.h"
#include "tls/stream_tls_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

/* Few: one per distinct set of settings, of all generations (docs/decisions/0024). */
static list living;

static uint64_t hash_z(const char *z, uint64_t h, uint64_t at)
{
    return z ? hash_keyed(str_c(z), h, at) : h ^ at;
}

static uint64_t id_of(const struct tls_client_args *a)
{
    uint64_t h = 1 + (uint64_t)a->verify + 2 * (uint64_t)a->no_sni + 4 * (uint64_t)a->alpn_h2 + 8 * (uint64_t)a->verify_depth;
    const str parts[] = {a->ca_pem, a->crl_pem, a->cert_pem, a->key_pem};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        h = hash_keyed(parts[i].p ? parts[i] : STR_EMPTY, h, i);
    }
    h = hash_z(a->protocols, h, 11);
    h = hash_z(a->ciphers, h, 12);
    for (int i = 0; i < a->npasswords; i++) {
        h = hash_keyed(a->passwords[i], h, 40 + (uint64_t)i);
    }
    for (int i = 0; i < a->ncommands; i++) {
        h = hash_keyed(a->commands[i], h, 20 + (uint64_t)i);
    }
    return h;
}

static int add_crls(SSL_CTX *ssl, str pem, char *err, size_t errcap)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
    REQUIRE(b != NULL);
    int n = 0;
    ERR_clear_error();
    for (X509_CRL *crl; (crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL)) != NULL; n++) {
        (void)X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
    }
    BIO_free(b);
    if (n == 0) {
        snprintf(err, errcap, "no usable certificate revocation list: %s", tls_reason());
        return ERR_CONF;
    }
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return 0;
}

static int add_authorities(SSL_CTX *ssl, str pem, char *err, size_t errcap)
{
    if (pem.n) {
        int n = tls_cert_trust(SSL_CTX_get_cert_store(ssl), pem, NULL, err, errcap);
        return n < 0 ? n : 0;
    }
    if (SSL_CTX_set_default_verify_paths(ssl) != 1) {
        snprintf(err, errcap, "the system's CA certificates: %s", tls_reason());
        return ERR_CONF;
    }
    return 0;
}

static int set_trust(tls_client *t, const struct tls_client_args *a, char *err, size_t errcap)
{
    SSL_CTX_set_verify(t->ssl, a->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (!a->verify) {
        return 0;
    }
    if (a->verify_depth) {
        SSL_CTX_set_verify_depth(t->ssl, a->verify_depth);
    }
    int rc = add_authorities(t->ssl, a->ca_pem, err, errcap);
    return rc == 0 && a->crl_pem.n ? add_crls(t->ssl, a->crl_pem, err, errcap) : rc;
}

static int set_client_cert(tls_client *t, const struct tls_client_args *a, char *err, size_t errcap)
{
    if (a->cert_pem.n == 0) {
        return 0;
    }
    struct tls_cert c;
    struct tls_cert_args args = {
        .cert_pem = a->cert_pem, .key_pem = a->key_pem, .passwords = a->passwords, .npasswords = a->npasswords, .cert_name = "client certificate"};
    int r = tls_cert_load(&args, &c, err, errcap);
    if (r < 0) {
        return r;
    }
    if (SSL_CTX_use_cert_and_key(t->ssl, c.leaf, c.key, c.chain, 1) != 1) {
        snprintf(err, errcap, "client certificate refused: %s", tls_reason());
        r = ERR_CONF;
    }
    tls_cert_fini(&c);
    return r;
}

static int run_commands(tls_client *t, const struct tls_client_args *a, char *err, size_t errcap)
{
    SSL_CONF_CTX *cc = SSL_CONF_CTX_new();
    REQUIRE(cc != NULL);
    SSL_CONF_CTX_set_flags(cc, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_CLIENT | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS);
    SSL_CONF_CTX_set_ssl_ctx(cc, t->ssl);
    int rc = 0;
    for (int i = 0; i + 1 < a->ncommands && rc == 0; i += 2) {
        ERR_clear_error();
        if (SSL_CONF_cmd(cc, a->commands[i].p, a->commands[i + 1].p) <= 0) {
            snprintf(err, errcap, "SSL_CONF_cmd(\"%s\", \"%s\") failed: %s", a->commands[i].p, a->commands[i + 1].p, tls_reason());
            rc = ERR_CONF;
        }
    }
    if (rc == 0 && SSL_CONF_CTX_finish(cc) != 1) {
        snprintf(err, errcap, "SSL_CONF_finish() failed: %s", tls_reason());
        rc = ERR_CONF;
    }
    SSL_CONF_CTX_free(cc);
    return rc;
}

static int set_up(tls_client *t, const struct tls_client_args *a, char *err, size_t errcap)
{
    static const unsigned char alpn[] = "\x02h2\x08http/1.1";
    int rc = tls_ctx_common(t->ssl, a->protocols, a->ciphers, err, errcap);
    rc = rc ? rc : set_trust(t, a, err, errcap);
    rc = rc ? rc : set_client_cert(t, a, err, errcap);
    rc = rc || !a->ncommands ? rc : run_commands(t, a, err, errcap);
    if (rc == 0 && a->alpn_h2) {
        REQUIRE(SSL_CTX_set_alpn_protos(t->ssl, alpn, sizeof alpn - 1) == 0);
    }
    return rc;
}

static tls_client *find(uint64_t id)
{
    if (!living.next) {
        list_init(&living);
    }
    LIST_EACH(it, &living)
    {
        tls_client *t = list_item(it, tls_client, node);
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

tls_client *tls_client_new(const struct tls_client_args *a, char *err, size_t errcap)
{
    uint64_t id = id_of(a);
    tls_client *t = find(id);
    if (t) {
        return tls_client_ref(t);
    }
    t = calloc(1, sizeof *t);
    REQUIRE(t != NULL);
    t->refs = 1;
    t->id = id;
    t->verify = a->verify;
    t->no_sni = a->no_sni;
    list_push_back(&living, &t->node);
    t->ssl = SSL_CTX_new(TLS_client_method());
    REQUIRE(t->ssl != NULL);
    if (set_up(t, a, err, errcap) < 0) {
        tls_client_unref(t);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    stream_tls_client_callbacks(t->ssl);
    return t;
}

uint64_t tls_client_id(const tls_client *t)
{
    return t->id;
}

tls_client *tls_client_ref(tls_client *t)
{
    t->refs++;
    return t;
}

void tls_client_unref(tls_client *t)
{
    if (!t || --t->refs) {
        return;
    }
    list_remove(&t->node);
    SSL_CTX_free(t->ssl);
    free(t);
}
