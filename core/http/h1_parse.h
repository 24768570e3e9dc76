/* h1_parse.h — strict HTTP/1 heads, requests and responses: bytes in, message out, nothing copied, no I/O.
 *
 * *m comes from msg_init. Call again with the whole unconsumed input when more bytes arrived; `scan` remembers how far the search for the end
 * of the head went, so that a head sent byte by byte costs O(n). The start line is judged as soon as it is complete.
 * Grammar: RFC 9112 with the rejections of the security model (CL+TE, obs-fold, bare CR or LF, controls, ...).
 * Leading empty lines before a request (at most 4) are skipped (RFC 9112 §2.2). */
#ifndef HTTP_H1_PARSE_H
#define HTTP_H1_PARSE_H

#include "http/h1_state.h"
#include "http/msg.h"

typedef struct h1_limits {
    uint32_t head;      /* bytes of start line + fields: ERR_HEAD_TOO_LARGE */
    uint32_t target;    /* bytes of the request target: ERR_URI_TOO_LONG */
    uint16_t fields;    /* number of fields: ERR_HEAD_TOO_LARGE */
    uint32_t first, line; /* a head longer than `first` must fit into that and `buffers` pieces of `line` bytes, no line in two: */
    uint32_t buffers;     /* ERR_URI_TOO_LONG for the first line, else ERR_HEAD_TOO_LARGE. 0: not asked */
    bool bare_lf;         /* a request's lines may end with LF alone (RFC 9112 §2.2) */
    bool drop_underscore; /* request fields with "_" in the name: dropped when true, else passed */
    bool drop_invalid;    /* request fields with an invalid name: dropped when true, else ERR_BAD_FIELD_NAME */
} h1_limits;

/* > 0: length of the head (incl. skipped empty lines), *m filled incl. framing; ERR_AGAIN: more bytes needed; other < 0: the error to
 * answer with. */
MUST_USE int h1_parse_request(str in, const h1_limits *lim, h1_scan *scan, msg *m);
/* `request_method` decides about the body (HEAD, CONNECT). Tolerates what servers do and is safe: bare LF line ends, missing reason.
 * Errors: ERR_AGAIN, ERR_BAD_STATUS, ERR_UPSTREAM_HEAD. */
MUST_USE int h1_parse_response(str in, const h1_limits *lim, h1_scan *scan, enum method request_method, msg *m);
/* Trailer fields after the last chunk, up to and including the empty line. > 0 length, ERR_AGAIN, ERR_BAD_TRAILER. Fields that may not be
 * trailers (framing, routing, authentication: RFC 9110 §6.5.1) are dropped. */
MUST_USE int h1_parse_trailers(str in, const h1_limits *lim, headers *h);

#endif
