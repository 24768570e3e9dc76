/* fetch.c — set-up and end of one upstream exchange; the protocol's part is in h1_client.c. */
#include "back/fetch.h"

#include "back/client.h"
#include "base/mem.h"
#include "base/zero.h"
#include "net/idle.h"
#include "net/idle_conn.h"

void fetch_init(fetch *f, pool *p, loop *l, job *user)
{
    zero(f, offsetof(fetch, upload));
    bufq_init(&f->upload);
    f->pool = p;
    f->l = l;
    f->user = user;
    f->ops = &h1_client_ops;
}

stream *fetch_stream(const fetch *f)
{
    return f->lease.c ? &f->lease.c->s : NULL;
}

void fetch_end(fetch *f)
{
    if (f->lease.c) {
        if (f->ops->end) {
            f->ops->end(f);
        }
        lease_end(&f->lease, f->ops->reusable(f));
    }
    bufq_fini(&f->upload);
    mem_unref(f->head_mem);
    f->head_mem = NULL;
}
