/* proxy_protocol.c — PROXY headers and their TLVs. Properties: a header that is complete is found at the same length whatever follows it, no prefix of it is
 * accepted or refused, and TLVs stay inside of it. */
#include "support.h"

#include "http/proxyproto.h"

static void check_tlvs(str tlvs)
{
    static const char *const names[] = {"alpn", "authority", "unique_id", "ssl", "netns", "ssl_version", "ssl_cn", "ssl_verify", "ssl_0x21", "0x30", "none", ""};
    char room[12];
    str v;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (proxyproto_tlv_named(tlvs, str_c(names[i]), room, &v) < 0 || v.p == room) {
            continue;
        }
        REQUIRE(v.n == 0 || (v.p >= tlvs.p && v.p + v.n <= tlvs.p + tlvs.n));
    }
    for (unsigned type = 0; type < 256; type++) {
        int rc = proxyproto_tlv(tlvs, type, &v);
        REQUIRE(rc == 0 || rc == ERR_NOT_FOUND || rc == ERR_INVALID);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str in = str_of((const char *)data, size);
    proxyproto pp, again;
    int n = proxyproto_parse(in, &pp);
    REQUIRE(n == ERR_AGAIN || n == ERR_INVALID || (n > 0 && (size_t)n <= size));
    if (n <= 0) {
        return 0;
    }
    for (size_t cut = 0; cut < (size_t)n; cut++) {
        REQUIRE(proxyproto_parse(str_of(in.p, cut), &again) == ERR_AGAIN);
    }
    REQUIRE(proxyproto_parse(str_of(in.p, (size_t)n), &again) == n);
    REQUIRE(pp.tlvs.n == 0 || (pp.tlvs.p >= in.p && pp.tlvs.p + pp.tlvs.n <= in.p + n));
    check_tlvs(pp.tlvs);
    char out[128];
    for (int version = 1; version <= 2; version++) {
        size_t wrote = proxyproto_write(&pp, version, out, sizeof out);
        REQUIRE(wrote > 0 && proxyproto_parse(str_of(out, wrote), &again) == (int)wrote);
        REQUIRE(again.family == pp.family && again.src_port == pp.src_port && memcmp(again.src, pp.src, sizeof pp.src) == 0);
    }
    return 0;
}
