/* framing.h — the message-length rules (RFC 9112 §6.3), persistence (§9.3), and every anti-smuggling check, on one page.
 * h1_parse calls them once the fields are known; the HTTP/2 side calls framing_request_fields for the shared rules. */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "http/msg.h"

/* Fills body, length, keepalive, upgrade, expect_continue and marks fields FIELD_DROP that are hop-by-hop or named by Connection.
 * 0 or ERR_BAD_LENGTH, ERR_LENGTH_AND_CHUNKED, ERR_BAD_CODING, ERR_BAD_HOST, ERR_BAD_CONNECTION. */
MUST_USE int framing_request(msg *m);
/* 0 or ERR_UPSTREAM_HEAD. */
MUST_USE int framing_response(msg *m, enum method request_method);

#endif
