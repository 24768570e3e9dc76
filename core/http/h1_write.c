/* h1_write.c — heads out. Every function appends by memcpy; a buffer that is too small marks `cut`
 * and the caller, who asked h1_write_size, has a bug. */
#include "http/h1_write.h"

#include "http/status.h"

static void put_version(fmt *f, int minor)
{
    fmt_put(f, minor == 0 ? STR("HTTP/1.0") : STR("HTTP/1.1"));
}

void h1_write_status(fmt *f, int minor, int status, str reason)
{
    bool usual = reason.n == 0 || (reason.n == 2 && memcmp(reason.p, "OK", 2) == 0);
    if (LIKELY(status == 200 && minor != 0 && usual)) {
        fmt_put(f, STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    put_version(f, minor);
    char code[5] = {' ', (char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                    (char)('0' + status % 10), ' '};
    fmt_bytes(f, code, sizeof code);
    fmt_put(f, reason.n ? reason : status_reason(status));
    fmt_put(f, STR("\r\n"));
}

void h1_write_request_line(fmt *f, str method, str target, int minor)
{
    fmt_put(f, method);
    fmt_char(f, ' ');
    fmt_put(f, target);
    fmt_char(f, ' ');
    put_version(f, minor);
    fmt_put(f, STR("\r\n"));
}

void h1_write_fields(fmt *f, const headers *h)
{
    for (uint32_t i = 0; i < h->n; i++) {
        const field *it = &h->v[i];
        if (it->name.n && !(it->flags & FIELD_DROP)) {
            h1_write_parsed(f, it);
        }
    }
}

size_t h1_write_size(const headers *h)
{
    size_t size = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        size += h->v[i].name.n + h->v[i].value.n + 4;
    }
    return size;
}

void h1_write_framing(fmt *f, const msg *m)
{
    if (m->body == MSG_BODY_LENGTH) {
        fmt_put(f, STR("Content-Length: "));
        fmt_u64(f, (uint64_t)m->length);
        fmt_put(f, STR("\r\n"));
    } else if (m->body == MSG_BODY_CHUNKED) {
        fmt_put(f, STR("Transfer-Encoding: chunked\r\n"));
    }
}
