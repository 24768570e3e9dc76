/* msg.h — one HTTP message: start line, fields, body framing. Requests and responses, both sides.
 *
 * Views point into the chunk that held the head (pinned by whoever owns the message) or into the pool.
 * framing.c fills `body`, `length`, `keepalive`, `upgrade` after the parser filled the rest. */
#ifndef HTTP_MSG_H
#define HTTP_MSG_H

#include "http/headers.h"
#include "http/method.h"

enum msg_body {
    MSG_BODY_NONE,    /* there is none, whatever the fields say */
    MSG_BODY_LENGTH,  /* `length` bytes */
    MSG_BODY_CHUNKED,
    MSG_BODY_CLOSE,   /* until the peer closes (responses only) */
};

enum { HTTP_1_0 = 10, HTTP_1_1 = 11, HTTP_2 = 20 };

typedef struct msg {
    uint8_t version;      /* HTTP_1_0, HTTP_1_1 (any 1.x above is 1.1), HTTP_2 */
    uint8_t minor;        /* as sent, for 1.x */
    uint8_t method;       /* enum method; requests */
    uint8_t body;         /* enum msg_body */
    uint16_t status;      /* responses */
    bool keepalive;       /* may the connection be used again after this message */
    bool upgrade;         /* request: a valid websocket upgrade is asked for; response: 101 */
    bool expect_continue; /* request: Expect: 100-continue */
    int64_t length;       /* MSG_BODY_LENGTH: bytes; else -1 */
    str method_name;
    str target;           /* raw request target as sent */
    str reason;           /* responses */
    str host;             /* requests: Host checked, lower case, without port and trailing dot; empty when HTTP/1.0 sent none */
    uint16_t port;        /* of Host; 0 when absent */
    headers h;
} msg;

void msg_init(msg *m, pool *p);
/* A response that fields without "always", and expiry, are for: nginx's list of statuses. */
bool msg_has_usual_status(const msg *m);

#endif
