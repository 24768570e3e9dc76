/* stream_tls_impl.h — what ctx.c needs of stream_tls.c and bio.c of both: the state of a TLS stream and the context callbacks. */
#ifndef TLS_STREAM_TLS_IMPL_H
#define TLS_STREAM_TLS_IMPL_H

#include "net/stream.h"
#include "net/timer.h"
#include "tls/ctx_impl.h"
#include "tls/stream_tls.h"

enum tls_phase {
    TLS_FIRST,     /* server: the first byte decides between TLS and a misdirected HTTP request */
    TLS_HANDSHAKE,
    TLS_OPEN,
    TLS_FAILED,
};

/* Hangs off stream.tls. Ciphertext going out is collected in `wire` and sent once per flight; ciphertext coming in goes from the socket straight
 * to OpenSSL's buffer, except for `early`, what was read before TLS began. */
struct stream_tls {
    SSL *ssl;
    stream *s;
    tls_server *server;   /* a reference; NULL on a client */
    tls_client *client;   /* a reference; NULL on a server */
    mem *early;
    uint32_t early_at, early_end;
    bufq wire;
    timer hold;           /* the last handshake flight waits this long for the first data to go with it */
    uint8_t phase;
    bool known;           /* a site has the name */
    bool is_held;
    bool starved;         /* the BIO told OpenSSL to come back */
    bool ended;           /* the socket's end was read */
    int16_t io_err;       /* the socket's error, 0 none */
    uint32_t warm;        /* bytes written since the last pause: decides the record size */
    int64_t written_ms;
    char *name;           /* SNI, lower case; NULL: none */
    void **resume_slot;
    const char *error;    /* static text */
};

void stream_tls_client_callbacks(SSL_CTX *ssl);

/* bio.c: OpenSSL's view of the stream. */
BIO *tls_bio_new(struct stream_tls *st);
/* Sends `wire`; 0, ERR_AGAIN (s->wire says how much is left), other < 0. */
MUST_USE int tls_bio_flush(struct stream_tls *st, bool more);

#endif
