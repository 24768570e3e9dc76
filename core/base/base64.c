/* base64.c — see base64.h. */
#include "base/base64.h"

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

ssize_t base64_decode(str s, uint8_t *out)
{
    size_t used = str_find(s, '=', 0);
    size_t n = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < used; i++) {
        int v = value_of(s.p[i]);
        if (v < 0) {
            return -1;
        }
        bits = (bits << 6 | (uint32_t)v) & 0xffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (uint8_t)(bits >> have);
        }
    }
    return used % 4 == 1 ? -1 : (ssize_t)n;
}
