/* h1_write.h — heads from messages: memcpy into a flat buffer, no printf. The caller decides which fields (FIELD_DROP fields and holes are
 * skipped) and the framing; exactly one framing field is written. */
#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H

#include "base/fmt.h"
#include "http/msg.h"

/* "HTTP/1.1 200 OK\r\n". An empty reason takes the standard one. */
void h1_write_status(fmt *f, int minor, int status, str reason);
/* "GET /x HTTP/1.1\r\n" */
void h1_write_request_line(fmt *f, str method, str target, int minor);
static inline void h1_write_field(fmt *f, str name, str value)
{
    size_t need = name.n + value.n + 4;
    if (UNLIKELY((size_t)(f->end - f->p) < need)) {
        f->cut = true;
        return;
    }
    char *o = f->p;
    memcpy(o, name.p, name.n);
    o += name.n;
    *o++ = ':';
    *o++ = ' ';
    memcpy(o, value.p, value.n);
    o += value.n;
    *o++ = '\r';
    *o++ = '\n';
    f->p = o;
}
/* The same for a field of a parsed message: where name and value still stand as they came, "Name: value", one copy does. */
static inline void h1_write_parsed(fmt *f, const field *v)
{
    size_t n = v->name.n + 2 + v->value.n;
    bool as_parsed = v->value.p == v->name.p + v->name.n + 2 && v->value.p[-1] == ' ' && v->value.p[-2] == ':';
    if (!as_parsed || UNLIKELY((size_t)(f->end - f->p) < n + 2)) {
        h1_write_field(f, v->name, v->value);
        return;
    }
    memcpy(f->p, v->name.p, n);
    f->p += n;
    *f->p++ = '\r';
    *f->p++ = '\n';
}
/* All fields that are not dropped. */
void h1_write_fields(fmt *f, const headers *h);
/* Upper bound of what h1_write_fields needs, start line and framing excluded. */
size_t h1_write_size(const headers *h);
/* "Content-Length: n\r\n" / "Transfer-Encoding: chunked\r\n" as m->body and m->length say (BODY_NONE and CLOSE write nothing). */
void h1_write_framing(fmt *f, const msg *m);

#endif
