/* msg.c — an empty message. */
#include "http/msg.h"

void msg_init(msg *m, pool *p)
{
    *m = (msg){.length = -1};
    headers_init(&m->h, p);
}
