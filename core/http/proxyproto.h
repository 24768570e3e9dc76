/* proxyproto.h — PROXY protocol v1 and v2: parse what stands before the first byte of a connection, emit towards upstreams. */
#ifndef HTTP_PROXYPROTO_H
#define HTTP_PROXYPROTO_H

#include "base/str.h"

typedef struct proxyproto {
    uint8_t family;       /* 0 unknown/LOCAL, 4, 6 */
    uint8_t src[16], dst[16];
    uint16_t src_port, dst_port;
    str tlvs;             /* v2: raw TLVs, a view of the input */
} proxyproto;

/* > 0: bytes of the header; ERR_AGAIN; ERR_INVALID (close the connection). */
MUST_USE int proxyproto_parse(str in, proxyproto *out);
/* Writes a v1 line (≤ 107 bytes) or a v2 header (28/52 bytes); returns the length. */
size_t proxyproto_write(const proxyproto *pp, int version, char *buf, size_t cap);

#endif
