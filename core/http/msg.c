/* msg.c — an empty message. */
#include "http/msg.h"

void msg_init(msg *m, pool *p)
{
    *m = (msg){.length = -1};
    headers_init(&m->h, p);
}

bool msg_has_usual_status(const msg *m)
{
    switch (m->status) {
    case 200: case 201: case 204: case 206: case 301: case 302: case 303: case 304: case 307: case 308:
        return true;
    default:
        return false;
    }
}
