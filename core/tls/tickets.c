/* tickets.c — RFC 5077 §4 / RFC 8446 §4.6.1 tickets: AES-CBC and HMAC-SHA-256, with keys that a server was given, or three in a block that the master rotates and
 * the workers read. The block is a sequence lock: readers copy and look again, so no worker ever waits for the master. */
#include "tls/tickets.h"

#include "base/check.h"
#include "base/err.h"
#include "base/rand.h"
#include "tls/stream_tls_impl.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { KEYS = 3, NAME_SIZE = 16, READ_TRIES = 64, GIVEN_SHORT = 48, GIVEN_LONG = 80 };

struct key {
    unsigned char name[NAME_SIZE];
    unsigned char aes[32];
    unsigned char mac[32];
    int64_t born_s;
    uint32_t size; /* of each half */
    uint32_t pad;
};

struct keys {
    uint32_t n; /* used; key[0] is current */
    uint32_t pad;
    struct key key[KEYS];
};

struct block {
    _Atomic uint32_t seq; /* odd while the master writes */
    uint32_t pad;
    struct keys keys;
};
_Static_assert(sizeof(struct block) <= TLS_TICKETS_SIZE, "the caller's mapping is too small");

/* Per process, set once: the shared block, our own keys while there is none, the fetched algorithms. */
static struct {
    struct block *shared;
    struct block own;
    EVP_CIPHER *aes256, *aes128;
} tickets;

/* Keys that a server was given: never rotated. */
struct tls_ticket_keys {
    uint32_t n;
    struct key key[];
};

void tls_tickets_attach(void *shared)
{
    tickets.shared = shared;
}

static void make_key(struct key *k, int64_t now_s)
{
    rand_secure(k->name, sizeof k->name);
    rand_secure(k->aes, sizeof k->aes);
    rand_secure(k->mac, sizeof k->mac);
    k->born_s = now_s;
    k->size = sizeof k->aes;
}

void tls_tickets_rotate(void *shared, int64_t now_s)
{
    struct block *b = shared;
    struct keys next = b->keys;
    memmove(&next.key[1], &next.key[0], sizeof next.key[0] * (KEYS - 1));
    make_key(&next.key[0], now_s);
    if (next.n < KEYS) {
        next.n++;
    }
    atomic_fetch_add_explicit(&b->seq, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    b->keys = next;
    atomic_fetch_add_explicit(&b->seq, 1, memory_order_release);
    OPENSSL_cleanse(&next, sizeof next);
}

static bool read_block(struct block *b, struct keys *out)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&b->seq, memory_order_acquire);
        if (before & 1) {
            continue;
        }
        *out = b->keys;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&b->seq, memory_order_relaxed) == before) {
            return out->n > 0 && out->n <= KEYS;
        }
    }
    return false; /* a master that died while writing: go on with our own */
}

static void read_keys(struct keys *out)
{
    if (tickets.shared && read_block(tickets.shared, out)) {
        return;
    }
    if (tickets.own.keys.n == 0) {
        tls_tickets_rotate(&tickets.own, 0);
    }
    *out = tickets.own.keys;
}

static const EVP_CIPHER *cipher_of(const struct key *k)
{
    return k->size == 32 ? tickets.aes256 : tickets.aes128;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, k->size),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int encrypt(struct key *k, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac)
{
    memcpy(name, k->name, NAME_SIZE);
    rand_secure(iv, (size_t)EVP_CIPHER_get_iv_length(cipher_of(k)));
    return EVP_EncryptInit_ex(ctx, cipher_of(k), NULL, k->aes, iv) == 1 && set_mac(mac, k) ? 1 : -1;
}

/* OpenSSL's contract: 0 unknown key (a full handshake follows), 1 good, 2 good but renew, -1 error. TLS 1.3 clients use a ticket once
 * (RFC 8446 §C.4), so they always get another. */
static int decrypt(struct key *keys, uint32_t n, bool single_use, const unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac)
{
    for (uint32_t i = 0; i < n; i++) {
        struct key *k = &keys[i];
        if (memcmp(k->name, name, NAME_SIZE) == 0) {
            if (!set_mac(mac, k) || EVP_DecryptInit_ex(ctx, cipher_of(k), NULL, k->aes, iv) != 1) {
                return -1;
            }
            return i == 0 && !single_use ? 1 : 2;
        }
    }
    return 0;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *ctx, EVP_MAC_CTX *mac, int enc)
{
    const struct stream_tls *st = SSL_get_app_data(ssl);
    struct tls_ticket_keys *given = st && st->server ? st->server->ticket_keys : NULL;
    struct keys keys = {0};
    if (!given) {
        read_keys(&keys);
    }
    struct key *k = given ? given->key : keys.key;
    int r = enc ? encrypt(k, name, iv, ctx, mac) : decrypt(k, given ? given->n : keys.n, SSL_version(ssl) == TLS1_3_VERSION, name, iv, ctx, mac);
    OPENSSL_cleanse(&keys, sizeof keys);
    return r;
}

static void take_given(struct key *k, str bytes)
{
    const char *rest = bytes.p + NAME_SIZE;
    k->size = (uint32_t)(bytes.n - NAME_SIZE) / 2;
    memcpy(k->name, bytes.p, NAME_SIZE);
    bool aes_first = bytes.n == GIVEN_SHORT;
    memcpy(k->aes, aes_first ? rest : rest + k->size, k->size);
    memcpy(k->mac, aes_first ? rest + k->size : rest, k->size);
}

int tls_tickets_give(tls_server *t, const str *keys, int n)
{
    struct tls_ticket_keys *given = calloc(1, sizeof *given + sizeof given->key[0] * (size_t)n);
    REQUIRE(given != NULL);
    t->ticket_keys = given;
    for (int i = 0; i < n; i++) {
        if (keys[i].n != GIVEN_SHORT && keys[i].n != GIVEN_LONG) {
            return ERR_CONF;
        }
        take_given(&given->key[given->n++], keys[i]);
    }
    return 0;
}

void tls_tickets_drop(tls_server *t)
{
    if (t->ticket_keys) {
        OPENSSL_cleanse(t->ticket_keys->key, sizeof t->ticket_keys->key[0] * t->ticket_keys->n);
        free(t->ticket_keys);
    }
}

void tls_tickets_use(SSL_CTX *ssl)
{
    if (!tickets.aes256) {
        tickets.aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
        tickets.aes128 = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
        REQUIRE(tickets.aes256 && tickets.aes128);
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
}
