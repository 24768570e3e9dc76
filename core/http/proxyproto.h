/* proxyproto.h — PROXY protocol v1 and v2: parse what stands before the first byte of a connection, emit towards upstreams. */
#ifndef HTTP_PROXYPROTO_H
#define HTTP_PROXYPROTO_H

#include "base/str.h"

typedef struct proxyproto {
    uint8_t family;       /* 0 unknown/LOCAL, 4, 6 */
    uint8_t src[16], dst[16];
    uint16_t src_port, dst_port;
    bool reserved;        /* v2: an address family that nobody has defined; the header is skipped as a whole */
    str tlvs;             /* v2: raw TLVs, a view of the input */
} proxyproto;

/* > 0: bytes of the header; ERR_AGAIN; ERR_INVALID (close the connection). */
MUST_USE int proxyproto_parse(str in, proxyproto *out);
/* The first TLV of a type: 0, ERR_NOT_FOUND, ERR_INVALID (a length that leads out of them). */
MUST_USE int proxyproto_tlv(str tlvs, unsigned type, str *out);
/* The same by nginx's names: alpn authority unique_id ssl netns, ssl_version ssl_cn ssl_cipher ssl_sig_alg ssl_key_alg out of the one of TLS, 0xNN and
 * ssl_0xNN by number; ssl_verify as a decimal number in `room`. ERR_NOT_FOUND for any other name. */
MUST_USE int proxyproto_tlv_named(str tlvs, str name, char room[12], str *out);
/* Writes a v1 line (≤ 107 bytes) or a v2 header (28/52 bytes); returns the length. */
size_t proxyproto_write(const proxyproto *pp, int version, char *buf, size_t cap);

#endif
