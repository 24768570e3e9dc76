/* cert.c — PEM to certificates. Load time only; nothing here asks for a passphrase: an encrypted key is an error. */
#include "tls/cert.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

const char *tls_reason(void)
{
    const char *text = NULL;
    unsigned long code = ERR_peek_last_error();
    if (code) {
        text = ERR_reason_error_string(code);
    }
    ERR_clear_error();
    return text ? text : "unknown reason";
}

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static BIO *bio_of(str pem)
{
    BIO *b = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    REQUIRE(b != NULL);
    return b;
}

static int give_passphrase(char *buf, int size, int rwflag, void *arg)
{
    const str *password = arg;
    (void)rwflag;
    if (size <= 0 || password->n > (size_t)size) {
        return -1;
    }
    memcpy(buf, password->p, password->n);
    return (int)password->n;
}

int tls_cert_key(str pem, const str *passwords, int npasswords, struct tls_cert *out)
{
    for (int i = 0; i < npasswords && !out->key; i++) {
        BIO *b = bio_of(pem);
        out->key = PEM_read_bio_PrivateKey(b, NULL, give_passphrase, (void *)(uintptr_t)&passwords[i]);
        BIO_free(b);
    }
    if (!out->key) {
        BIO *b = bio_of(pem);
        out->key = PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL);
        BIO_free(b);
    }
    return out->key ? 0 : ERR_CONF;
}

int tls_cert_chain(str pem, struct tls_cert *out)
{
    BIO *b = bio_of(pem);
    out->leaf = PEM_read_bio_X509_AUX(b, NULL, no_passphrase, NULL);
    X509 *x = NULL;
    while (out->leaf && (x = PEM_read_bio_X509(b, NULL, no_passphrase, NULL)) != NULL) {
        if (!out->chain) {
            out->chain = sk_X509_new_null();
        }
        REQUIRE(out->chain && sk_X509_push(out->chain, x) > 0);
    }
    BIO_free(b);
    return out->leaf ? 0 : ERR_CONF;
}

void tls_cert_share(const struct tls_cert *from, struct tls_cert *to)
{
    if (from->leaf) {
        to->leaf = from->leaf;
        to->chain = from->chain ? X509_chain_up_ref(from->chain) : NULL;
        REQUIRE(X509_up_ref(to->leaf) == 1 && (to->chain || !from->chain));
    }
    if (from->key) {
        to->key = from->key;
        REQUIRE(EVP_PKEY_up_ref(to->key) == 1);
    }
}

int tls_cert_load(const struct tls_cert_args *a, struct tls_cert *out, char *err, size_t errcap)
{
    const char *cert = a->cert_name ? a->cert_name : "certificate";
    const char *key = a->key_name ? a->key_name : "key";
    memset(out, 0, sizeof *out);
    ERR_clear_error();
    if (tls_cert_chain(a->cert_pem, out) < 0) {
        snprintf(err, errcap, "%s: cannot read a certificate: %s", cert, tls_reason());
    } else if (tls_cert_key(a->key_pem, a->passwords, a->npasswords, out) < 0) {
        snprintf(err, errcap, "%s: cannot read a private key: %s", key, tls_reason());
    } else if (X509_check_private_key(out->leaf, out->key) != 1) {
        snprintf(err, errcap, "%s: the key in %s does not belong to it", cert, key);
    } else {
        ERR_clear_error(); /* the end of the PEM file is an error to OpenSSL */
        return 0;
    }
    ERR_clear_error();
    tls_cert_fini(out);
    return ERR_CONF;
}

void tls_cert_fini(struct tls_cert *c)
{
    X509_free(c->leaf);
    EVP_PKEY_free(c->key);
    sk_X509_pop_free(c->chain, X509_free);
    memset(c, 0, sizeof *c);
}

static bool has_name(const STACK_OF(X509_NAME) *names, const X509_NAME *one)
{
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), one) == 0) {
            return true;
        }
    }
    return false;
}

int tls_cert_trust(X509_STORE *store, str pem, STACK_OF(X509_NAME) *names, char *err, size_t errcap)
{
    BIO *b = bio_of(pem);
    X509 *x = NULL;
    int n = 0;
    ERR_clear_error();
    while ((x = PEM_read_bio_X509_AUX(b, NULL, no_passphrase, NULL)) != NULL) {
        REQUIRE(X509_STORE_add_cert(store, x) == 1);
        if (names && !has_name(names, X509_get_subject_name(x))) {
            X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));
            REQUIRE(name && sk_X509_NAME_push(names, name) > 0);
        }
        X509_free(x);
        n++;
    }
    BIO_free(b);
    if (n == 0) {
        snprintf(err, errcap, "no usable CA certificate: %s", tls_reason());
        return ERR_CONF;
    }
    ERR_clear_error();
    return n;
}

static int64_t epoch_of(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int tls_cert_check(const struct tls_cert_args *a, char *err, size_t errcap, int64_t *not_after)
{
    struct tls_cert c;
    int r = tls_cert_load(a, &c, err, errcap);
    if (r < 0) {
        return r;
    }
    int64_t ends = epoch_of(X509_get0_notAfter(c.leaf));
    if (not_after) {
        *not_after = ends;
    }
    if (ends <= clock_wall_ms() / 1000) {
        snprintf(err, errcap, "%s: the certificate has expired", a->cert_name ? a->cert_name : "certificate");
        r = ERR_CONF;
    }
    tls_cert_fini(&c);
    return r;
}

bool tls_cert_covers(const struct tls_cert_args *a, str host)
{
    struct tls_cert c = {0};
    bool covers = tls_cert_chain(a->cert_pem, &c) == 0 && host.n > 0 && X509_check_host(c.leaf, host.p, host.n, 0, NULL) == 1;
    tls_cert_fini(&c);
    ERR_clear_error();
    return covers;
}
