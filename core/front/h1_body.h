/* h1_body.h — a request's body on an HTTP/1 connection: by length or in chunks (RFC 9112 §6, §7), pulled, without copying; 100-continue. */
#ifndef FRONT_H1_BODY_H
#define FRONT_H1_BODY_H

#include "front/conn.h"
#include "http/msg.h"

enum { H1_BODY_FILL = 256 * 1024 }; /* unread bytes of a body, at most */

/* After the head: what the message says about its body. */
void h1_body_start(conn *c, const msg *m);
/* proto_ops.read_body. */
ssize_t h1_body_read(req *r, bufq *q, size_t max);
/* Reads on and drops what it read: > 0 bytes dropped or read, ERR_AGAIN, ERR_EOF (the body is over), other < 0. */
ssize_t h1_body_skip(conn *c, headers *trailers);

#endif
