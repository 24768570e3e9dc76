/* split.c — shares of clients: the hash of a text picks the value. The hash and the arithmetic of the shares are those of nginx's split_clients, so that a client keeps its value when a
 * configuration moves here. */
#include "flow/uservar_impl.h"

#include "base/hash.h"
#include "flow/req.h"

enum { WHOLE = 10000 };

struct split {
    struct varvalue source;
    int n;
    struct part {
        uint32_t below; /* hashes below this; 0: all that is left */
        str value;
    } v[];
};

void *split_new(struct uservar_making *m)
{
    const struct conf_varentrys *e = &m->c->entries;
    struct split *s = pool_zalloc(m->pool, sizeof *s + sizeof s->v[0] * (size_t)e->n);
    if (varvalue_compile(m, m->c->source, &s->source) < 0) {
        return NULL;
    }
    int64_t sum = 0;
    uint32_t last = 0;
    for (int i = 0; i < e->n; i++) {
        int64_t share = e->v[i].share;
        sum = share ? sum + share : WHOLE;
        if (sum > WHOLE || share < 0) {
            return varmaking_fail(m, m->c->label, "percent total is greater than 100%%");
        }
        s->v[i].value = e->v[i].value.p ? e->v[i].value : STR_EMPTY;
        if (share && sum < WHOLE) {
            last += (uint32_t)((uint64_t)share * UINT32_MAX / WHOLE);
            s->v[i].below = last;
        }
        s->n++;
    }
    return s;
}

str split_get(const void *impl, req *r)
{
    const struct split *s = impl;
    uint32_t h = hash_murmur2(varvalue_get(&s->source, r));
    for (int i = 0; i < s->n; i++) {
        if (!s->v[i].below || h < s->v[i].below) {
            return s->v[i].value;
        }
    }
    return STR_EMPTY;
}
