/* h2_block.h — one header block of HTTP/2: decoded fields in, a message out, judged by the same rules as an HTTP/1 head (RFC 9113 §8.2, §8.3).
 *
 * The decoder (h2.c) hands in field by field; names and values are copied into the message's pool, known names become tokens. The first
 * error is kept and the rest of the block is only counted, because it still has to be decoded. No nghttp2 here: a client session uses the same. */
#ifndef HTTP_H2_BLOCK_H
#define HTTP_H2_BLOCK_H

#include "http/h1_parse.h"

typedef struct h2_block {
    msg *m;               /* what is filled; its pool holds the bytes */
    const h1_limits *lim;
    str path, authority, scheme;
    uint32_t wire;        /* bytes of it in frames */
    uint32_t size;        /* decoded bytes, 32 per field included (RFC 9113 §6.5.2) */
    size_t bytes;         /* names and values alone */
    uint16_t fields;      /* regular ones */
    uint8_t seen;         /* pseudo-header fields so far */
    bool regular;         /* a regular field came: no pseudo-header field may follow */
    bool cookies;         /* more than one crumb (RFC 9113 §8.2.3) */
    bool websocket;       /* extended CONNECT (RFC 8441): the stream becomes a tunnel */
    bool excess;          /* ERR_HEAD_TOO_LARGE for its bytes, not for the number of its fields */
    int err;              /* the first one */
} h2_block;

void h2_block_init(h2_block *b, msg *m, const h1_limits *lim);
/* One decoded field; `lasting`: its bytes outlive the message. */
void h2_block_add(h2_block *b, str name, str value, bool lasting);
/* The block is complete, `ended`: so is the message. Fills the message incl. framing, as framing_request does; an extended CONNECT becomes the GET with
 * an upgrade that it is in HTTP/1.1. 0, b->err, or what is wrong with the whole: ERR_BAD_START_LINE (pseudo-header fields), ERR_BAD_METHOD, ERR_BAD_TARGET,
 * ERR_URI_TOO_LONG, ERR_BAD_HOST, ERR_BAD_CONNECTION, ERR_BAD_LENGTH, ERR_EXPECT. */
MUST_USE int h2_block_request(h2_block *b, bool ended);
/* A block after the body: drops what may not be a trailer. 0 or ERR_BAD_TRAILER. */
MUST_USE int h2_block_trailers(h2_block *b);

#endif
