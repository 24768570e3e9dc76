/* facts.c — see facts.h. */
#include "tls/facts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fmt.h"
#include "tls/stream_tls_impl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>

#define ABSENT ((str){NULL, 0})

static SSL *ssl_of(const stream *s)
{
    const struct stream_tls *st = s->tls;
    return st ? st->ssl : NULL;
}

static str hex(const unsigned char *v, size_t n, pool *p)
{
    char *out = pool_alloc(p, 2 * n + 1);
    for (size_t i = 0; i < n; i++) {
        sprintf(out + 2 * i, "%02x", v[i]);
    }
    return str_of(out, 2 * n);
}

static str taken(BIO *b, pool *p)
{
    char *text;
    long n = BIO_get_mem_data(b, &text);
    str out = n > 0 ? pool_dup(p, str_of(text, (size_t)n)) : ABSENT;
    BIO_free(b);
    return out;
}

static BIO *memory(void)
{
    BIO *b = BIO_new(BIO_s_mem());
    REQUIRE(b);
    return b;
}

/* ---- the connection */

static str alpn_of(SSL *ssl, pool *p)
{
    const unsigned char *v = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl, &v, &n);
    return n ? pool_dup(p, str_of((const char *)v, n)) : ABSENT;
}

/* What the client offers, known ones by name. */
static str ciphers_of(SSL *ssl, pool *p)
{
    STACK_OF(SSL_CIPHER) *all = SSL_get_client_ciphers(ssl);
    char buf[4096];
    fmt f = fmt_of(buf, sizeof buf);
    for (int i = 0; all && i < sk_SSL_CIPHER_num(all); i++) {
        fmt_put(&f, i ? STR(":") : STR_EMPTY);
        fmt_put(&f, str_c(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i))));
    }
    return pool_dup(p, fmt_str(&f));
}

static str group_name(int nid, pool *p)
{
    if (nid & TLSEXT_nid_unknown) {
        return pool_printf(p, "0x%04x", nid & 0xffff);
    }
    return str_c(OBJ_nid2sn(nid));
}

static str curve_of(SSL *ssl, pool *p)
{
    int nid = (int)SSL_get_negotiated_group(ssl);
    return nid == NID_undef ? ABSENT : group_name(nid, p);
}

static str curves_of(SSL *ssl, pool *p)
{
    int n = (int)SSL_get1_groups(ssl, NULL);
    if (n <= 0 || n > 256) {
        return ABSENT;
    }
    int *nids = pool_alloc(p, sizeof *nids * (size_t)n);
    char buf[2048];
    fmt f = fmt_of(buf, sizeof buf);
    n = (int)SSL_get1_groups(ssl, nids);
    for (int i = 0; i < n; i++) {
        fmt_put(&f, i ? STR(":") : STR_EMPTY);
        fmt_put(&f, group_name(nids[i], p));
    }
    return pool_dup(p, fmt_str(&f));
}

static str sigalg_of(SSL *ssl, bool client)
{
    int nid = NID_undef;
    int ok = client ? SSL_get_peer_signature_type_nid(ssl, &nid) : SSL_get_signature_type_nid(ssl, &nid);
    const char *type = ok == 1 && nid != NID_undef ? OBJ_nid2sn(nid) : NULL;
    return type ? str_c(type) : ABSENT;
}

static str session_id(SSL *ssl, pool *p)
{
    unsigned n = 0;
    const SSL_SESSION *session = SSL_get_session(ssl);
    const unsigned char *id = session ? SSL_SESSION_get_id(session, &n) : NULL;
    return id && n ? hex(id, n, p) : ABSENT;
}

/* ---- the client's certificate */

static str pem_of(X509 *x, pool *p)
{
    BIO *b = memory();
    PEM_write_bio_X509(b, x);
    return taken(b, p);
}

/* nginx folds a field's value over lines with "\n\t"; folding is gone from HTTP (RFC 9112 §5.2), so only the tabs are left, which those who
 * unfolded it saw as well. */
static str tabbed(str pem, pool *p)
{
    while (pem.n && pem.p[pem.n - 1] == '\n') {
        pem.n--;
    }
    char *out = pool_alloc(p, pem.n + 1);
    for (size_t i = 0; i < pem.n; i++) {
        out[i] = pem.p[i] == '\n' ? '\t' : pem.p[i];
    }
    return str_of(out, pem.n);
}

static str url_escaped(str s, pool *p)
{
    char *out = pool_alloc(p, s.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out[n++] = (char)c;
        } else {
            n += (size_t)sprintf(out + n, "%%%02X", c);
        }
    }
    return str_of(out, n);
}

static str dn_of(const X509_NAME *name, pool *p)
{
    BIO *b = memory();
    X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
    return taken(b, p);
}

static str dn_legacy(const X509_NAME *name, pool *p)
{
    char *text = X509_NAME_oneline(name, NULL, 0);
    str out = text ? pool_dup(p, str_c(text)) : ABSENT;
    OPENSSL_free(text);
    return out;
}

static str serial_of(X509 *x, pool *p)
{
    BIO *b = memory();
    i2a_ASN1_INTEGER(b, X509_get_serialNumber(x));
    return taken(b, p);
}

static str fingerprint_of(X509 *x, pool *p)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    return X509_digest(x, EVP_sha1(), md, &n) == 1 ? hex(md, n, p) : ABSENT;
}

static str time_of(const ASN1_TIME *t, pool *p)
{
    BIO *b = memory();
    ASN1_TIME_print(b, t);
    return taken(b, p);
}

static str days_left(X509 *x, pool *p)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1) {
        return ABSENT;
    }
    int64_t left = (int64_t)timegm(&tm) - clock_wall_ms() / 1000;
    return left < 0 ? STR("0") : pool_printf(p, "%lld", (long long)(left / 86400));
}

static str verify_of(SSL *ssl, const X509 *x, pool *p)
{
    long why = SSL_get_verify_result(ssl);
    if (!x) {
        return STR("NONE");
    }
    return why == X509_V_OK ? STR("SUCCESS") : pool_printf(p, "FAILED:%s", X509_verify_cert_error_string(why));
}

static str of_cert(X509 *x, enum tls_fact what, pool *p)
{
    switch ((int)what) {
    case TLS_FACT_CERT:
        return tabbed(pem_of(x, p), p);
    case TLS_FACT_RAW_CERT:
        return pem_of(x, p);
    case TLS_FACT_ESCAPED_CERT:
        return url_escaped(pem_of(x, p), p);
    case TLS_FACT_S_DN:
        return dn_of(X509_get_subject_name(x), p);
    case TLS_FACT_I_DN:
        return dn_of(X509_get_issuer_name(x), p);
    case TLS_FACT_S_DN_LEGACY:
        return dn_legacy(X509_get_subject_name(x), p);
    case TLS_FACT_I_DN_LEGACY:
        return dn_legacy(X509_get_issuer_name(x), p);
    case TLS_FACT_SERIAL:
        return serial_of(x, p);
    case TLS_FACT_FINGERPRINT:
        return fingerprint_of(x, p);
    case TLS_FACT_V_START:
        return time_of(X509_get0_notBefore(x), p);
    case TLS_FACT_V_END:
        return time_of(X509_get0_notAfter(x), p);
    default:
        return days_left(x, p);
    }
}

str tls_fact(const stream *s, enum tls_fact what, pool *p)
{
    SSL *ssl = ssl_of(s);
    if (!ssl) {
        return ABSENT;
    }
    switch ((int)what) {
    case TLS_FACT_ALPN:
        return alpn_of(ssl, p);
    case TLS_FACT_CIPHERS:
        return ciphers_of(ssl, p);
    case TLS_FACT_CURVE:
        return curve_of(ssl, p);
    case TLS_FACT_CURVES:
        return curves_of(ssl, p);
    case TLS_FACT_SIGALG:
        return sigalg_of(ssl, false);
    case TLS_FACT_CLIENT_SIGALG:
        return sigalg_of(ssl, true);
    case TLS_FACT_EARLY_DATA:
        return ABSENT; /* it is never accepted */
    case TLS_FACT_SESSION_ID:
        return session_id(ssl, p);
    case TLS_FACT_SESSION_REUSED:
        return SSL_session_reused(ssl) ? STR("r") : STR(".");
    default:
        break;
    }
    X509 *x = SSL_get0_peer_certificate(ssl);
    str out = what == TLS_FACT_VERIFY ? verify_of(ssl, x, p) : x ? of_cert(x, what, p) : ABSENT;
    ERR_clear_error();
    return out;
}

long tls_client_verdict(const stream *s, bool *has, bool *no_ca, const char **text)
{
    SSL *ssl = ssl_of(s);
    long why = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
    *has = ssl && SSL_get0_peer_certificate(ssl);
    *no_ca = why == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || why == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
             why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || why == X509_V_ERR_CERT_UNTRUSTED ||
             why == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
    *text = X509_verify_cert_error_string(why);
    return why;
}

str tls_server_name(const stream *s)
{
    const struct stream_tls *st = s->tls;
    return st && st->name && st->known ? str_c(st->name) : STR_EMPTY;
}

void tls_forget_session(const stream *s)
{
    SSL *ssl = ssl_of(s);
    SSL_SESSION *session = ssl ? SSL_get0_session(ssl) : NULL;
    if (session) {
        SSL_CTX_remove_session(SSL_get_SSL_CTX(ssl), session);
    }
}
