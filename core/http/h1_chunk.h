/* h1_chunk.h — the chunked coding (RFC 9112 §7.1): incremental decoder over views, and the encoder's frame heads. */
#ifndef HTTP_H1_CHUNK_H
#define HTTP_H1_CHUNK_H

#include "base/str.h"
#include "http/h1_state.h"

void h1_chunk_init(h1_chunk *c);
/* Reads from `in`: sets *data to the next run of body bytes (a view into `in`, may be empty), *used to the bytes consumed from `in`
 * including *data. Returns 1 when the last chunk's line (size 0) has been consumed: what follows is the trailer section, to be read with
 * h1_parse_trailers; 0 when *data may be taken and the call repeated (or more input is needed when *used == 0);
 * ERR_BAD_CHUNK. */
MUST_USE int h1_chunk_decode(h1_chunk *c, str in, str *data, size_t *used);
enum { H1_CHUNK_HEAD_MAX = 18, H1_CHUNK_SMALL = 128 /* data worth copying instead of pointing at */ };
/* "1a2b\r\n" into buf (≥ H1_CHUNK_HEAD_MAX); returns its length. */
size_t h1_chunk_head(char *buf, uint64_t n);

#endif
