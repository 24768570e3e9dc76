/* group_origins.c — which servers a group has: those of its configuration and those that were added at run time, with what was changed of them. */
#include "back/group_impl.h"
#include "back/origin.h"
#include "back/peer.h"
#include "base/log.h"

static origin *find_origin(group *g, str address)
{
    LIST_EACH(it, &g->origins)
    {
        origin *o = list_item(it, origin, node);
        if (!o->kept && str_eq(str_c(o->text), address)) {
            return o;
        }
    }
    return NULL;
}

static origin *find_kept(group *g, str address)
{
    LIST_EACH(it, &g->origins)
    {
        origin *o = list_item(it, origin, node);
        if (o->kept && str_eq(str_c(o->text), address)) {
            return o;
        }
    }
    return NULL;
}

/* One that goes, of the same name: its port changed. */
static const origin *find_predecessor(group *g, const origin *o)
{
    LIST_EACH(it, &g->origins)
    {
        const origin *old = list_item(it, origin, node);
        if (o->host.n && !old->kept && old != o && str_eq(old->host, o->host)) {
            return old;
        }
    }
    return NULL;
}

static origin *make_origin(group *g, const struct conf_peer *c)
{
    origin *o = origin_new(g, c, c->port ? (uint16_t)c->port : g->tls ? 443 : 80);
    const origin *old = find_predecessor(g, o);
    if (old) {
        origin_inherit(o, old);
    }
    return o;
}

/* Those added at run time come after the configured ones, which win when they are the same. */
static void keep_added(group *g)
{
    const changes *c = &g->set->changes;
    for (uint32_t i = 0; i < c->all.n; i++) {
        const change *one = &c->all.v[i];
        if (!one->added || !group_is_named(g, str_c(one->upstream)) || find_kept(g, str_c(one->server))) {
            continue;
        }
        struct conf_peer p = {
            .address = str_c(one->server), .weight = 1, .backup = one->backup, .max_conns = one->max_conns, .fails = -1, .window = -1};
        origin *o = find_origin(g, p.address);
        if (o) {
            origin_update(o, &p);
        } else {
            o = make_origin(g, &p);
        }
        o->kept = o->added = true;
    }
}

static void drop_others(group *g)
{
    LIST_EACH_SAFE(it, &g->origins)
    {
        origin *o = list_item(it, origin, node);
        if (!o->kept) {
            origin_free(o);
        }
    }
    group_rebuild(g);
    LIST_EACH_SAFE(it, &g->origins)
    {
        origin *o = list_item(it, origin, node);
        if (!timer_is_set(&o->timer)) {
            origin_start(o);
        }
    }
}

void group_set_origins(group *g, const struct conf_peers *c)
{
    LIST_EACH(it, &g->origins)
    {
        list_item(it, origin, node)->kept = false;
    }
    for (int i = 0; i < c->n; i++) {
        origin *o = find_origin(g, c->v[i].address);
        if (o) {
            origin_update(o, &c->v[i]);
        } else {
            o = make_origin(g, &c->v[i]);
        }
        o->kept = true;
        o->added = false;
        list_remove(&o->node);
        list_push_back(&g->origins, &o->node); /* in the order of the file */
    }
    keep_added(g);
    drop_others(g);
}


/* ---- changes at run time */

bool group_is_named(const group *g, str name)
{
    return (!g->like || g->twin) && str_eq(g->name, name);
}

/* Is the change of this peer: of its server, or of this one of a name's addresses? */
static bool is_about(const change *one, const peer *p)
{
    str text = str_c(one->server);
    const origin *o = p->origin;
    return str_eq(text, str_c(o->text)) || (o->label && str_eq(text, str_c(o->label))) || str_eq(text, str_of(p->text, p->text_n));
}

void group_change_of(const peer *p, struct peer_change *out)
{
    const changes *c = &p->g->set->changes;
    *out = (struct peer_change){CHANGE_NONE, 0};
    for (uint32_t i = 0; i < c->all.n; i++) {
        const change *one = &c->all.v[i];
        if (group_is_named(p->g, str_c(one->upstream)) && is_about(one, p)) {
            out->state = one->state != CHANGE_NONE ? one->state : out->state;
            out->weight = one->weight ? one->weight : out->weight;
        }
    }
}

static void change_group(group *g, void *arg)
{
    (void)arg;
    if (g->like) {
        return;
    }
    group_forget_dynamic(g); /* they are made anew, with the new servers */
    LIST_EACH(it, &g->origins)
    {
        origin *o = list_item(it, origin, node);
        o->kept = !o->added;
    }
    keep_added(g);
    LIST_EACH(it, &g->origins)
    {
        origin_apply(list_item(it, origin, node));
    }
    drop_others(g);
}

void group_set_change(group_set *s, changes *c)
{
    changes_fini(&s->changes);
    s->changes = *c;
    *c = (changes){.all = {0}};
    group_each(s, change_group, NULL);
}

void group_bring_up(group_set *s, str upstream, const char *server, int64_t now_ms)
{
    group *g = group_find(s, upstream);
    const change about = {.server = (char *)(uintptr_t)server};
    if (!g) {
        return;
    }
    LIST_EACH(it, &g->peers)
    {
        peer *p = list_item(it, peer, node);
        if (is_about(&about, p)) {
            peer_bring_up(p, now_ms);
        }
    }
}
