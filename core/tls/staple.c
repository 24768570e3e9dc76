/* staple.c — see staple.h. */
#include "tls/staple.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "tls/ctx_impl.h"
#include "tls/stream_tls_impl.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { SKEW_S = 300, AGAIN_S = 3600, SOON_S = 300 };

struct staple {
    X509 *leaf, *issuer; /* issuer: a reference; NULL: unknown */
    char *der;           /* NULL: none */
    size_t n;
    int64_t good_s, again_s; /* until when; when another is wanted. Wall clock */
};

struct tls_staples {
    struct tls_staple_args a;
    int n;
    struct staple v[TLS_SET_MAX];
};

/* Whoever issued it, from its chain or among the authorities. */
static X509 *find_issuer(SSL_CTX *ssl, const struct tls_cert *c)
{
    for (int i = 0; c->chain && i < sk_X509_num(c->chain); i++) {
        X509 *x = sk_X509_value(c->chain, i);
        if (X509_check_issued(x, c->leaf) == X509_V_OK) {
            return X509_up_ref(x) == 1 ? x : NULL;
        }
    }
    X509 *found = NULL;
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    REQUIRE(store && X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ssl), NULL, NULL) == 1);
    if (X509_STORE_CTX_get1_issuer(&found, store, c->leaf) != 1) {
        found = NULL;
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
    return found;
}

static void keep(struct staple *s, str der, int64_t good_s)
{
    int64_t now_s = clock_wall_ms() / 1000, again_s = now_s + AGAIN_S;
    free(s->der);
    s->der = malloc(der.n);
    REQUIRE(s->der);
    memcpy(s->der, der.p, der.n);
    s->n = der.n;
    s->good_s = good_s;
    again_s = again_s < good_s - SOON_S ? again_s : good_s - SOON_S;
    s->again_s = again_s > now_s + SOON_S ? again_s : now_s + SOON_S;
}

static int on_status(SSL *ssl, void *arg)
{
    (void)arg;
    const struct stream_tls *st = SSL_get_app_data(ssl);
    struct tls_staples *all = st->server->staples;
    const X509 *leaf = SSL_get_certificate(ssl);
    int64_t now_s = clock_wall_ms() / 1000;
    for (int i = 0; all && i < all->n; i++) {
        struct staple *s = &all->v[i];
        if (s->leaf != leaf) {
            continue;
        }
        if (all->a.wanted && s->issuer && (!s->der || now_s >= s->again_s)) {
            all->a.wanted(all->a.arg, i);
        }
        unsigned char *copy = s->der && now_s < s->good_s ? OPENSSL_memdup(s->der, s->n) : NULL;
        if (copy) {
            SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->n); /* takes it */
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

int tls_staple_use(tls_server *t, const struct tls_staple_args *a)
{
    struct tls_staples *all = calloc(1, sizeof *all);
    REQUIRE(all);
    all->a = *a;
    all->a.fixed = STR_EMPTY;
    t->staples = all;
    for (int i = 0; t->fallback && i < t->fallback->n; i++) {
        struct staple *s = &all->v[all->n++];
        s->leaf = t->fallback->cert[i]->leaf;
        if (a->fixed.n) {
            keep(s, a->fixed, INT64_MAX);
        } else {
            s->issuer = find_issuer(t->ssl, t->fallback->cert[i]);
        }
    }
    SSL_CTX_set_tlsext_status_cb(t->ssl, on_status);
    return all->n;
}

void tls_staple_drop(tls_server *t)
{
    for (int i = 0; t->staples && i < t->staples->n; i++) {
        X509_free(t->staples->v[i].issuer);
        free(t->staples->v[i].der);
    }
    free(t->staples);
}

static OCSP_CERTID *id_of(const struct staple *s)
{
    return s->issuer ? OCSP_cert_to_id(NULL, s->leaf, s->issuer) : NULL;
}

str tls_staple_question(const tls_server *t, int i)
{
    OCSP_REQUEST *q = OCSP_REQUEST_new();
    OCSP_CERTID *id = id_of(&t->staples->v[i]);
    str out = {NULL, 0};
    if (q && id && OCSP_request_add0_id(q, id)) { /* takes id */
        unsigned char *der = NULL;
        int n = i2d_OCSP_REQUEST(q, &der);
        char *text = n > 0 ? malloc((size_t)n / 3 * 4 + 8) : NULL;
        if (text) {
            out = str_of(text, (size_t)EVP_EncodeBlock((unsigned char *)text, der, n));
        }
        OPENSSL_free(der);
    } else {
        OCSP_CERTID_free(id);
    }
    OCSP_REQUEST_free(q);
    ERR_clear_error();
    return out;
}

str tls_staple_responder(const tls_server *t, int i)
{
    STACK_OF(OPENSSL_STRING) *all = X509_get1_ocsp(t->staples->v[i].leaf);
    str out = {NULL, 0};
    if (all && sk_OPENSSL_STRING_num(all) > 0) {
        char *copy = strdup(sk_OPENSSL_STRING_value(all, 0));
        REQUIRE(copy);
        out = str_c(copy);
    }
    X509_email_free(all);
    return out;
}

static const char *judge_status(OCSP_BASICRESP *basic, const OCSP_CERTID *id, int64_t *good_s)
{
    int status, reason;
    ASN1_GENERALIZEDTIME *revoked, *from, *until;
    if (OCSP_resp_find_status(basic, (OCSP_CERTID *)(uintptr_t)id, &status, &reason, &revoked, &from, &until) != 1) {
        return "it is not about this certificate";
    }
    if (status != V_OCSP_CERTSTATUS_GOOD) {
        return OCSP_cert_status_str(status);
    }
    if (OCSP_check_validity(from, until, SKEW_S, -1) != 1) {
        return "it is not valid now";
    }
    struct tm tm;
    *good_s = until && ASN1_TIME_to_tm(until, &tm) == 1 ? (int64_t)timegm(&tm) : clock_wall_ms() / 1000 + 2 * AGAIN_S;
    return NULL;
}

static const char *judge_basic(const tls_server *t, const struct staple *s, OCSP_BASICRESP *basic, int64_t *good_s)
{
    STACK_OF(X509) *near = sk_X509_new_null();
    REQUIRE(near && sk_X509_push(near, s->issuer) > 0);
    unsigned long how = t->staples->a.verify ? OCSP_TRUSTOTHER : OCSP_NOVERIFY;
    bool ok = OCSP_basic_verify(basic, near, SSL_CTX_get_cert_store(t->ssl), how) == 1;
    sk_X509_free(near);
    if (!ok) {
        return "its signature does not verify";
    }
    OCSP_CERTID *id = id_of(s);
    const char *why = id ? judge_status(basic, id, good_s) : "out of memory";
    OCSP_CERTID_free(id);
    return why;
}

int tls_staple_take(tls_server *t, int i, str der, char *err, size_t errcap)
{
    struct staple *s = &t->staples->v[i];
    const unsigned char *p = (const unsigned char *)der.p;
    OCSP_RESPONSE *answer = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
    int status = answer ? OCSP_response_status(answer) : -1;
    OCSP_BASICRESP *basic = status == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(answer) : NULL;
    int64_t good_s = 0;
    const char *why = !answer ? "it is no OCSP response" : !basic ? OCSP_response_status_str(status) : judge_basic(t, s, basic, &good_s);
    if (why) {
        snprintf(err, errcap, "%s", why);
    } else {
        keep(s, der, good_s);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(answer);
    ERR_clear_error();
    return why ? ERR_INVALID : 0;
}
