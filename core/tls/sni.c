/* sni.c — the choices a server makes about a client hello, each in the callback OpenSSL has for it. The name is read at the hello itself, before sessions and
 * certificates are looked at: so the session context can depend on it, and a hook may park the handshake there. */
#include "tls/sni.h"

#include "base/err.h"
#include "tls/hook.h"
#include "tls/stream_tls_impl.h"

#include <stdlib.h>

const struct tls_hook *tls_hook;

static struct stream_tls *state_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* server_name of the client hello (RFC 6066 §3), lower case, without a final dot; empty when absent or malformed. */
static str hello_name(SSL *ssl, char *buf)
{
    const unsigned char *p = NULL;
    size_t n = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5) {
        return STR_EMPTY;
    }
    size_t entries = (size_t)p[0] << 8 | p[1], len = (size_t)p[3] << 8 | p[4];
    if (entries != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name || len != n - 5 || len > TLS_NAME_MAX || memchr(p + 5, 0, len)) {
        return STR_EMPTY;
    }
    if (len && p[5 + len - 1] == '.') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = (char)str_lower_char(p[5 + i]);
    }
    return str_of(buf, len);
}

static bool use_set(SSL *ssl, const struct tls_set *set)
{
    if (set->is_default) {
        return true;
    }
    SSL_certs_clear(ssl);
    for (int i = 0; i < set->n; i++) {
        const struct tls_cert *c = set->cert[i];
        if (SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1) != 1) {
            return false;
        }
    }
    return SSL_set_session_id_context(ssl, set->id, TLS_ID_SIZE) == 1;
}

/* What SSL_set_SSL_CTX leaves as the first context had it. */
static bool use_server(SSL *ssl, struct stream_tls *st, tls_server *other)
{
    SSL_CTX *ctx = other->ssl;
    if (!SSL_set_SSL_CTX(ssl, ctx)) {
        return false;
    }
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), SSL_CTX_get_verify_callback(ctx));
    SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(ctx));
    SSL_clear_options(ssl, SSL_get_options(ssl) & ~SSL_CTX_get_options(ctx));
    SSL_set_options(ssl, SSL_CTX_get_options(ctx));
    SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(ctx));
    if (SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(ctx)) != 1 ||
        SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(ctx)) != 1) {
        return false;
    }
    tls_server_ref(other);
    tls_server_unref(st->server);
    st->server = other;
    return SSL_set_session_id_context(ssl, other->fallback ? other->fallback->id : (const unsigned char *)"", other->fallback ? TLS_ID_SIZE : 0) == 1;
}

static char *dup_name(str name)
{
    char *z = malloc(name.n + 1);
    if (z) {
        memcpy(z, name.p, name.n);
        z[name.n] = '\0';
    }
    return z;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct stream_tls *st = state_of(ssl);
    const tls_server *t = arg;
    char buf[TLS_NAME_MAX];
    str name = hello_name(ssl, buf);
    if (name.n && !st->name) {
        st->name = dup_name(name);
    }
    if (tls_hook && tls_hook->client_hello) {
        int r = tls_hook->client_hello(st->s, name);
        if (r == ERR_AGAIN) {
            return SSL_CLIENT_HELLO_RETRY;
        }
        if (r < 0) {
            st->error = "refused by a hook";
            *alert = SSL_AD_ACCESS_DENIED;
            return SSL_CLIENT_HELLO_ERROR;
        }
    }
    tls_server *other = t->choose && name.n ? t->choose(t->choose_arg, name) : NULL;
    st->known = other != NULL;
    if (other && other != t) {
        if (!use_server(ssl, st, other)) {
            *alert = SSL_AD_INTERNAL_ERROR;
            return SSL_CLIENT_HELLO_ERROR;
        }
        t = other;
    }
    if (t->reject_all) {
        st->error = "handshake rejected";
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (t->choose || other) {
        return SSL_CLIENT_HELLO_SUCCESS; /* its context has its certificates */
    }
    const struct tls_set *set = name.n ? tls_server_find(t, name) : t->fallback;
    if (!set && t->reject_unknown) {
        st->error = "unknown server name";
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (set && !use_set(ssl, set)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Acknowledges the name (RFC 6066 §3); the choice was made at the client hello. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    return state_of(ssl)->name ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned inlen, void *arg)
{
    static const unsigned char with_h2[] = "\x02h2\x08http/1.1\x08http/1.0", without[] = "\x08http/1.1\x08http/1.0";
    const tls_server *t = arg;
    const char *name = state_of(ssl)->name;
    const struct tls_set *set = name ? tls_server_find(t, str_c(name)) : NULL;
    set = set ? set : t->fallback;
    bool h2 = t->alpn_h2 && !(set && set->no_h2);
    const unsigned char *ours = h2 ? with_h2 : without;
    unsigned n = h2 ? sizeof with_h2 - 1 : sizeof without - 1;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, outlen, ours, n, in, inlen) != OPENSSL_NPN_NEGOTIATED) {
        state_of(ssl)->error = "no common application protocol";
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 §3.2 */
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_certificate(SSL *ssl, void *arg)
{
    const tls_server *t = arg;
    struct stream_tls *st = state_of(ssl);
    if (t->certify(t->certify_arg, st->s)) {
        return 1;
    }
    st->error = "no certificate";
    return 0;
}

void tls_sni_certify(SSL_CTX *ssl, tls_server *t)
{
    SSL_CTX_set_cert_cb(ssl, on_certificate, t);
}

void tls_sni_use(SSL_CTX *ssl, tls_server *t)
{
    SSL_CTX_set_client_hello_cb(ssl, on_client_hello, t);
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, t);
}
