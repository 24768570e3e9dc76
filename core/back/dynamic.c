/* dynamic.c — see dynamic.h. */
#include "back/dynamic.h"

#include "back/group_impl.h"
#include "back/origin.h"
#include "base/check.h"
#include "base/err.h"
#include "tls/ctx.h"

#include <stdio.h>
#include <stdlib.h>

enum { DYNAMIC_MAX = 1024, ADDRESS_MAX = 512 };

/* "%p address": groups of one configured group and one address are the same. */
static size_t make_key(const struct dynamic_args *a, char *buf, size_t cap)
{
    int n = snprintf(buf, cap, "%p %p %u %.*s", (void *)a->like, (void *)a->names, a->port,
                     STR_ARG(a->address));
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static void forget(group *g)
{
    group_set *s = g->set;
    map_remove(&s->dynamic, g->dynamic_key);
    list_remove(&g->lru);
    s->ndynamic--;
    free((void *)(uintptr_t)g->dynamic_key.p);
    g->dynamic_key = STR_EMPTY;
    group_unref(g);
}

void group_forget_dynamic(group *like)
{
    group_set *s = like->set;
    LIST_EACH_SAFE(it, &s->dynamic_lru)
    {
        group *g = list_item(it, group, lru);
        if (g->like == like || g->twin == like) {
            forget(g);
        }
    }
}

/* The host of an address and whether it says a port. ERR_INVALID: no host, or nonsense. */
static int check_address(const struct dynamic_args *a, bool *is_name, bool *has_port)
{
    addr at;
    str text = a->address;
    *is_name = false;
    if (text.n == 0 || text.n > ADDRESS_MAX) {
        return ERR_INVALID;
    }
    if (addr_parse(text, 0, &at) == 0) {
        *has_port = at.sa.sa_family == AF_UNIX || addr_port(&at) != 0;
        return 0;
    }
    size_t colon = str_find(text, ':', 0);
    uint64_t port = 0;
    *is_name = true;
    *has_port = colon < text.n;
    bool wrong = *has_port && (str_to_u64(str_from(text, colon + 1), &port) < 0 || port == 0 ||
                               port > 65535);
    return colon == 0 || wrong ? ERR_INVALID : 0;
}

static void add_origins_of(group *g, const group *twin)
{
    struct conf_peers all = {0};
    LIST_EACH(it, &twin->origins)
    {
        all.n++;
    }
    all.v = calloc((size_t)all.n + 1, sizeof *all.v);
    REQUIRE(all.v != NULL);
    int n = 0;
    LIST_EACH(it, &twin->origins)
    {
        const origin *o = list_item(it, origin, node);
        all.v[n] = o->own;
        all.v[n].label = o->label ? str_c(o->label) : STR_EMPTY;
        all.v[n++].address = str_c(o->text);
    }
    group_set_origins(g, &all);
    free(all.v);
}

static group *make(group_set *s, const struct dynamic_args *a, group *twin, str key)
{
    group *g = group_new(s, twin ? twin->name : a->address);
    g->like = a->like;
    g->twin = twin;
    group_copy_conf(g, &(twin ? twin : a->like)->own);
    g->tls_hash = a->like->tls_hash;
    g->tls = a->like->tls ? tls_client_ref(a->like->tls) : NULL;
    g->names = a->names ? nameserver_ref(a->names) : NULL;
    char *copy = strndup(key.p, key.n);
    REQUIRE(copy != NULL);
    g->dynamic_key = str_of(copy, key.n);
    map_put(&s->dynamic, g->dynamic_key, g);
    list_push_back(&s->dynamic_lru, &g->lru);
    s->ndynamic++;
    group_ref(g);
    if (twin) {
        add_origins_of(g, twin);
    } else {
        /* nobody would choose among a name's addresses by what befell other requests */
        struct conf_peer one = {
            .address = a->address, .weight = 1, .fails = 0, .window = -1, .port = a->port};
        struct conf_peers only = {.v = &one, .n = 1};
        group_set_origins(g, &only);
    }
    return g;
}

/* A configured group that goes by the address, or by the address with the port that it does not say. */
static group *configured_twin(group_set *s, const struct dynamic_args *a, bool has_port)
{
    group *g = group_find(s, a->address);
    char text[ADDRESS_MAX + 8];
    if (g || has_port || !a->port) {
        return g;
    }
    int n = snprintf(text, sizeof text, "%.*s:%u", STR_ARG(a->address), a->port);
    return group_find(s, str_of(text, (size_t)n));
}

int group_set_dynamic(group_set *s, const struct dynamic_args *a, group **out)
{
    char key[ADDRESS_MAX + 64];
    bool is_name, has_port = false;
    int rc = check_address(a, &is_name, &has_port);
    if (rc < 0) {
        return rc;
    }
    group *twin = a->configured && is_name ? configured_twin(s, a, has_port) : NULL;
    if (twin && !twin->tls == !a->like->tls && twin->tls_hash == a->like->tls_hash) {
        *out = group_ref(twin);
        return 0;
    }
    if (!twin && is_name && !a->names) {
        return ERR_RESOLVE;
    }
    if (!twin && !has_port && !a->port) {
        return ERR_INVALID;
    }
    size_t n = make_key(a, key, sizeof key);
    group *g = n ? map_get(&s->dynamic, str_of(key, n)) : NULL;
    if (g) {
        list_remove(&g->lru);
        list_push_back(&s->dynamic_lru, &g->lru);
        if (!g->twin) {
            origin_refresh(list_item(g->origins.next, origin, node));
        }
    } else if (n) {
        if (s->ndynamic >= DYNAMIC_MAX) {
            forget(list_item(s->dynamic_lru.next, group, lru));
        }
        g = make(s, a, twin, str_of(key, n));
    }
    *out = g ? group_ref(g) : NULL;
    return g ? 0 : ERR_INVALID;
}
