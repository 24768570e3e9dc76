/* probe_grpc.c — grpc.health.v1.Health/Check by hand (PROTOCOL-HTTP2.md and health-checking.md of the gRPC project; the encoding of Protocol Buffers): the request has one
 * string, the answer one number. Declared in probe.h. */
#include "back/probe.h"

#include "back/fetch.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    FRAME_HEAD = 5,       /* compressed or not, length */
    ANSWER_MAX = 1024,    /* of a message: more is none of ours */
    SERVICE_MAX = 255,
    TAG_STRING_1 = 0x0a,  /* field 1, wire type 2 */
    SERVING = 1,
    VARINT_MAX = 10
};

void probe_grpc_write(const char *service, bufq *q)
{
    size_t n = strnlen(service, SERVICE_MAX);
    unsigned char m[FRAME_HEAD + 3 + SERVICE_MAX] = {0};
    size_t at = FRAME_HEAD;
    if (n) { /* the empty string is the default: not sent */
        m[at++] = TAG_STRING_1;
        if (n > 127) {
            m[at++] = (unsigned char)(n & 127) | 128;
            m[at++] = (unsigned char)(n >> 7);
        } else {
            m[at++] = (unsigned char)n;
        }
        memcpy(m + at, service, n);
        at += n;
    }
    m[3] = (unsigned char)((at - FRAME_HEAD) >> 8);
    m[4] = (unsigned char)(at - FRAME_HEAD);
    bufq_push_copy(q, str_of((const char *)m, at));
}

/* False: it does not end, or is too long. */
static bool read_varint(str *s, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < VARINT_MAX && s->n > 0; i++) {
        unsigned char c = (unsigned char)s->p[0];
        *s = str_from(*s, 1);
        *out |= (uint64_t)(c & 127) << (7 * i);
        if (!(c & 128)) {
            return true;
        }
    }
    return false;
}

/* Steps over the value of a field that means nothing here. False: broken. */
static bool skip(str *s, uint64_t wire)
{
    uint64_t n = 0;
    if (wire == 0 || wire == 2) {
        if (!read_varint(s, &n)) {
            return false;
        }
        n = wire == 0 ? 0 : n;
    } else if (wire == 1 || wire == 5) {
        n = wire == 1 ? 8 : 4;
    } else {
        return false;
    }
    if (n > s->n) {
        return false;
    }
    *s = str_from(*s, (size_t)n);
    return true;
}

/* The status of a HealthCheckResponse; -1: it is none. The last one of several counts. */
static int64_t read_status(str message)
{
    uint64_t tag, status = 0;
    while (message.n > 0) {
        if (!read_varint(&message, &tag)) {
            return -1;
        }
        bool mine = tag == 1 << 3; /* field 1, a number */
        if (mine ? !read_varint(&message, &status) : !skip(&message, tag & 7)) {
            return -1;
        }
    }
    return status <= INT32_MAX ? (int64_t)status : -1;
}

static bool is_ok(const headers *h)
{
    const field *f = h->pool ? headers_get(h, STR("grpc-status")) : NULL;
    return f && str_eq(f->value, STR("0"));
}

int probe_grpc_verdict(const fetch *f, const bufq *body)
{
    char bytes[FRAME_HEAD + ANSWER_MAX];
    const unsigned char *u = (const unsigned char *)bytes;
    size_t n = body->bytes <= sizeof bytes ? bufq_peek(body, bytes, sizeof bytes) : 0;
    if (!is_ok(&f->trailers) || n < FRAME_HEAD || u[0] != 0 || u[1] || u[2] || n != FRAME_HEAD + ((size_t)u[3] << 8 | u[4])) {
        return ERR_CHECK_GRPC;
    }
    int64_t status = read_status(str_of(bytes + FRAME_HEAD, n - FRAME_HEAD));
    return status < 0 ? ERR_CHECK_GRPC : status == SERVING ? 0 : ERR_CHECK_SERVING;
}
