/* stream_tls.h — turns an open stream into a TLS stream, as server or client; handshake as explicit states driven by the stream's readiness. */
#ifndef TLS_STREAM_TLS_H
#define TLS_STREAM_TLS_H

#include "base/str.h"

typedef struct stream stream;
typedef struct tls_client tls_client;
typedef struct tls_server tls_server;

/* Switches the stream's ops; unread plain bytes in the in-buffer (after a PROXY header) are fed to TLS first. */
MUST_USE int stream_tls_server(stream *s, tls_server *t);
/* `name` (may be empty): SNI and the name to verify; `resume_slot`: where the last session is kept, may be NULL. */
MUST_USE int stream_tls_client(stream *s, tls_client *t, str name, void **resume_slot);
void stream_tls_session_free(void *slot_value);
/* 0 done; ERR_AGAIN wait for the stream; ERR_PLAIN_ON_TLS: the first bytes were an HTTP request (they are unread in the in-buffer, the stream is plain again, so
 * that a 400 can be sent); ERR_TLS, ERR_TLS_VERIFY, ERR_EOF. Idempotent after success. */
MUST_USE int stream_tls_handshake(stream *s);

struct stream_tls_facts {
    str protocol;     /* "TLSv1.3" */
    str cipher;
    str alpn;         /* "h2", "http/1.1" or empty */
    str server_name;  /* SNI, lower case; empty: none */
    bool resumed;
};
void stream_tls_facts(const stream *s, struct stream_tls_facts *out);
/* Why the last handshake failed, for the log: OpenSSL's reason or the verification error. */
const char *stream_tls_error(const stream *s);

#endif
