/* ctx.c — server and client contexts from plain settings: protocol range, ciphers, groups, trust, and the table from names to certificates.
 * Load time only, but for tls_server_find. */
#include "tls/ctx.h"

#include "base/check.h"
#include "base/err.h"
#include "tls/cert.h"
#include "tls/ctx_impl.h"
#include "tls/sni.h"
#include "tls/staple.h"
#include "tls/stream_tls_impl.h"
#include "tls/tickets.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

/* Mozilla's "intermediate" list without finite-field DH, for which nobody would make parameters. */
static const char ciphers_default[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups_default[] = "X25519:P-256:P-384";

struct protocol {
    const char *name;
    int version;
    uint64_t off;
};
static const struct protocol protocols[] = {
    {"TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1},
    {"TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
    {"TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
    {"TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};

static char *dup_lower(str s)
{
    char *z = malloc(s.n + 1);
    REQUIRE(z != NULL);
    for (size_t i = 0; i < s.n; i++) {
        z[i] = (char)str_lower_char((unsigned char)s.p[i]);
    }
    z[s.n] = '\0';
    return z;
}

/* The lowest and highest named version; a gap between is closed by an option. */
static int set_protocols(SSL_CTX *ssl, const char *names, char *err, size_t errcap)
{
    str rest = str_c(names ? names : "TLSv1.2 TLSv1.3"), word;
    int lo = 0, hi = 0;
    uint64_t off = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
    while (str_split(&rest, ' ', &word)) {
        const struct protocol *found = NULL;
        for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
            if (str_ieq(word, str_c(protocols[i].name))) {
                found = &protocols[i];
            }
        }
        if (found) {
            off &= ~found->off;
            lo = !lo || found->version < lo ? found->version : lo;
            hi = found->version > hi ? found->version : hi;
        } else if (word.n && !str_has_iprefix(word, STR("SSLv"))) { /* SSLv2 and v3 are accepted and never offered */
            snprintf(err, errcap, "unknown TLS protocol \"%.*s\"", STR_ARG(word));
            return ERR_CONF;
        }
    }
    if (!lo) {
        snprintf(err, errcap, "no usable TLS protocol in \"%s\"", names ? names : "");
        return ERR_CONF;
    }
    SSL_CTX_set_min_proto_version(ssl, lo);
    SSL_CTX_set_max_proto_version(ssl, hi);
    SSL_CTX_set_options(ssl, off);
    if (lo < TLS1_2_VERSION) {
        SSL_CTX_set_security_level(ssl, 0); /* their SHA-1 signatures are below level 1; who asked for them gets them */
    }
    return 0;
}

int tls_ctx_common(SSL_CTX *ssl, const char *names, const char *ciphers, char *err, size_t errcap)
{
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(ssl, 1);
    int r = set_protocols(ssl, names, err, errcap);
    if (r < 0) {
        return r;
    }
    ERR_clear_error();
    if (SSL_CTX_set_cipher_list(ssl, ciphers ? ciphers : ciphers_default) != 1) {
        snprintf(err, errcap, "ciphers: %s", tls_reason());
        return ERR_CONF;
    }
    return 0;
}

/* ---- names ---- */

static void make_id(const tls_server *t, struct tls_set *set)
{
    unsigned len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    REQUIRE(md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    EVP_DigestUpdate(md, t->id_context, strlen(t->id_context) + 1);
    EVP_DigestUpdate(md, set->name, strlen(set->name));
    REQUIRE(EVP_DigestFinal_ex(md, set->id, &len) == 1 && len == TLS_ID_SIZE);
    EVP_MD_CTX_free(md);
}

static struct tls_set *set_of(tls_server *t, str name)
{
    bool wild = str_has_prefix(name, STR("*."));
    char *key = dup_lower(wild ? str_from(name, 1) : name);
    map *m = wild ? &t->wildcards : &t->names;
    struct tls_set *set = map_get(m, str_c(key));
    if (set) {
        free(key);
        return set;
    }
    set = calloc(1, sizeof *set);
    REQUIRE(set != NULL);
    set->name = key;
    make_id(t, set);
    set->next = t->sets;
    t->sets = set;
    if (*key) {
        map_put(m, str_c(key), set);
    }
    return set;
}

static int add_to_set(tls_server *t, struct tls_set *set, struct tls_cert *cert, char *err, size_t errcap)
{
    int type = EVP_PKEY_get_base_id(cert->key);
    for (int i = 0; i < set->n; i++) {
        if (EVP_PKEY_get_base_id(set->cert[i]->key) == type) {
            return 0; /* the first one given for a name stays */
        }
    }
    if (set->n == TLS_SET_MAX) {
        snprintf(err, errcap, "more than %d certificates for \"%s\"", TLS_SET_MAX, set->name);
        return ERR_CONF;
    }
    set->cert[set->n++] = cert;
    ERR_clear_error();
    if (set->is_default && SSL_CTX_use_cert_and_key(t->ssl, cert->leaf, cert->key, cert->chain, 1) != 1) {
        snprintf(err, errcap, "certificate refused: %s", tls_reason());
        return ERR_CONF;
    }
    return 0;
}

static void make_default(tls_server *t, struct tls_set *set)
{
    set->is_default = true;
    t->fallback = set;
    REQUIRE(SSL_CTX_set_session_id_context(t->ssl, set->id, TLS_ID_SIZE) == 1);
}

int tls_server_add(tls_server *t, const struct tls_cert_args *a, const str *names, int nnames, char *err, size_t errcap)
{
    struct tls_cert loaded;
    int r = tls_cert_load(a, &loaded, err, errcap);
    if (r < 0) {
        return r;
    }
    struct tls_cert *cert = malloc(sizeof *cert);
    t->certs = realloc(t->certs, (t->ncerts + 1) * sizeof *t->certs);
    REQUIRE(cert && t->certs);
    *cert = loaded;
    t->certs[t->ncerts++] = cert;
    if (!t->fallback) {
        make_default(t, set_of(t, nnames > 0 ? names[0] : STR_EMPTY));
    }
    if (nnames == 0) {
        return add_to_set(t, t->fallback, cert, err, errcap);
    }
    for (int i = 0; i < nnames && r == 0; i++) {
        r = add_to_set(t, set_of(t, names[i]), cert, err, errcap);
    }
    return r;
}

void tls_server_refuse_h2(tls_server *t, const str *names, int nnames)
{
    for (int i = 0; i < nnames; i++) {
        set_of(t, names[i])->no_h2 = true;
    }
}

struct tls_set *tls_server_find(const tls_server *t, str name)
{
    struct tls_set *set = map_get(&t->names, name);
    for (size_t dot = 0; !set && (dot = str_find(name, '.', dot)) < name.n; dot++) {
        set = map_get(&t->wildcards, str_from(name, dot)); /* the most specific first */
    }
    return set;
}

void tls_server_choose(tls_server *t, tls_choose_fn *fn, void *arg)
{
    t->choose = fn;
    t->choose_arg = arg;
}

void tls_server_certify(tls_server *t, tls_certify_fn *fn, void *arg)
{
    t->certify = fn;
    t->certify_arg = arg;
    if (!t->fallback) {
        make_default(t, set_of(t, STR_EMPTY));
    }
    tls_sni_certify(t->ssl, t);
}

void tls_server_reject_unknown(tls_server *t, bool on)
{
    t->reject_unknown = on;
}

/* ---- server ---- */

static int set_client_auth(tls_server *t, const struct tls_server_args *a, char *err, size_t errcap)
{
    if (a->verify_client == 0) {
        return 0;
    }
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    REQUIRE(names != NULL);
    int n = tls_cert_trust(SSL_CTX_get_cert_store(t->ssl), a->client_ca_pem, names, err, errcap);
    if (n < 0) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return n;
    }
    SSL_CTX_set_client_CA_list(t->ssl, names); /* takes names */
    SSL_CTX_set_verify(t->ssl, SSL_VERIFY_PEER | (a->verify_client == 2 ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return 0;
}

static int set_server(tls_server *t, const struct tls_server_args *a, char *err, size_t errcap)
{
    int r = tls_ctx_common(t->ssl, a->protocols, a->ciphers, err, errcap);
    if (r < 0) {
        return r;
    }
    if (SSL_CTX_set1_groups_list(t->ssl, a->groups ? a->groups : groups_default) != 1) {
        snprintf(err, errcap, "groups: %s", tls_reason());
        return ERR_CONF;
    }
    /* Resumption is by ticket only: what workers would share of a cache, tickets carry. */
    SSL_CTX_set_session_cache_mode(t->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(t->ssl, a->tickets ? 1 : 0);
    tls_tickets_use(t->ssl); /* without: a command of the policy may still want them */
    if (!a->tickets) {
        SSL_CTX_set_options(t->ssl, SSL_OP_NO_TICKET);
    }
    tls_sni_use(t->ssl, t);
    return set_client_auth(t, a, err, errcap);
}

tls_server *tls_server_new(const struct tls_server_args *a, char *err, size_t errcap)
{
    tls_server *t = calloc(1, sizeof *t);
    REQUIRE(t != NULL);
    t->refs = 1;
    t->ssl = SSL_CTX_new(TLS_server_method());
    REQUIRE(t->ssl != NULL);
    t->tickets = a->tickets;
    t->alpn_h2 = a->alpn_h2;
    t->id_context = dup_lower(str_c(a->id_context ? a->id_context : ""));
    map_init(&t->names);
    map_init(&t->wildcards);
    if (set_server(t, a, err, errcap) < 0) {
        tls_server_unref(t);
        return NULL;
    }
    return t;
}

tls_server *tls_server_ref(tls_server *t)
{
    t->refs++;
    return t;
}

void tls_server_unref(tls_server *t)
{
    if (!t || --t->refs) {
        return;
    }
    SSL_CTX_free(t->ssl);
    map_fini(&t->names);
    map_fini(&t->wildcards);
    while (t->sets) {
        struct tls_set *set = t->sets;
        t->sets = set->next;
        free(set->name);
        free(set);
    }
    for (size_t i = 0; i < t->ncerts; i++) {
        tls_cert_fini(t->certs[i]);
        free(t->certs[i]);
    }
    free(t->certs);
    tls_tickets_drop(t);
    tls_staple_drop(t);
    free(t->id_context);
    free(t);
}

const char *tls_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
