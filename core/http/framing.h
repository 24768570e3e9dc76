/* framing.h — the message-length rules (RFC 9112 §6.3), persistence (§9.3), and every anti-smuggling check, on one page.
 * h1_parse calls them once the fields are known, h2_block does for HTTP/2. */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "http/msg.h"

/* Fills body, length, keepalive, upgrade, expect_continue, host, port. Marks FIELD_DROP: hop-by-hop fields, extension fields that
 * Connection names (names in token.def are never dropped on its word, the element is ignored), and Content-Length when the message has a
 * body of that length, because h1_write_framing writes it: h1_write_fields + h1_write_framing give exactly one framing field.
 * 0 or ERR_BAD_LENGTH, ERR_BAD_TRANSFER, ERR_LENGTH_AND_CHUNKED, ERR_BAD_CODING, ERR_BAD_HOST, ERR_EXPECT, or
 * ERR_BAD_CONNECTION when Connection names more than 32 fields. */
MUST_USE int framing_request(msg *m);
/* The same for a request over HTTP/2, where the stream frames the body: `ended`, there is none; else of the length that is said, or open (CHUNKED).
 * ERR_BAD_CONNECTION: a connection-specific field, or a TE other than "trailers" (RFC 9113 §8.2.2). */
MUST_USE int framing_request_h2(msg *m, bool ended);
/* The same for a response; a Content-Length that announces no body here (HEAD, 304) stays a field.
 * 0 or ERR_UPSTREAM_HEAD. */
MUST_USE int framing_response(msg *m, enum method request_method);

#endif
