/* nameserver.c — resolvers by their settings; declared in group.h. */
#include "back/group_impl.h"
#include "base/check.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>

struct nameserver {
    list node;
    char *key;
    resolver *r;
    uint32_t refs;
};

static char *key_of(const struct conf_resolver *c)
{
    char *key;
    int n = asprintf(&key, "%.*s %d%d%d %lld %lld", STR_ARG(c->servers), c->ipv4, c->ipv6, c->strict,
                     (long long)c->valid, (long long)c->timeout);
    REQUIRE(n > 0);
    return key;
}

static nameserver *nameserver_new(group_set *s, const struct conf_resolver *c, char *key)
{
    struct resolver_args args = {
        .servers = c->servers.n ? c->servers.p : NULL,
        .timeout_ms = c->timeout,
        .valid_ms = c->valid,
        .strict = c->strict,
        .ipv4 = c->ipv4,
        .ipv6 = c->ipv6,
    };
    resolver *r = resolver_new(s->l, &args);
    if (!r) {
        free(key);
        return NULL;
    }
    nameserver *n = calloc(1, sizeof *n);
    REQUIRE(n != NULL);
    n->key = key;
    n->r = r;
    n->refs = 1;
    list_push_back(&s->names, &n->node);
    return n;
}

nameserver *nameserver_get(group_set *s, const struct conf_resolver *c)
{
    char *key = key_of(c);
    LIST_EACH(it, &s->names)
    {
        nameserver *n = list_item(it, nameserver, node);
        if (strcmp(n->key, key) == 0) {
            free(key);
            return nameserver_ref(n);
        }
    }
    return nameserver_new(s, c, key);
}

nameserver *nameserver_ref(nameserver *n)
{
    n->refs++;
    return n;
}

void nameserver_unref(nameserver *n)
{
    if (!n || --n->refs) {
        return;
    }
    resolver_free(n->r);
    list_remove(&n->node);
    free(n->key);
    free(n);
}

resolver *nameserver_resolver(const nameserver *n)
{
    return n->r;
}
