/* testing.c — see testing.h. A test generation is a plan with one site, whose first route has the
 * hooks under test; a test request is a req over a protocol that keeps what it is given.
 * lua/moongate/test.lua is the public face. */
#include "script/testing.h"

#include "back/group.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "flow/hook.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "flow/zones.h"
#include "http/sink.h"
#include "net/resolve.h"
#include "script/api.h"
#include "script/api_conf.h"
#include "script/headers_lua.h"
#include "script/hook.h"
#include "script/load.h"
#include "script/walk.h"
#include "shm/dict.h"
#include "shm/limit.h"
#include "shm/seg.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEP_MS = 10, LIMIT_BYTES = 256 * 1024, BODY_PIECE = 7 };

static const char GENERATION[] = "test generation";
static const char REQUEST[] = "test request";

/* One per process. */
static struct {
    loop *l;
    resolver *resolver;
    group_set *groups;
    int64_t mono_ms, wall_ms;
} world;

struct generation {
    struct api_head head;
    script *s;
    conf *conf;
    plan *plan;
};

/* The fake protocol: what a client would have got. */
struct exchange {
    struct api_head head;
    sink sink;
    req *r; /* NULL: over */
    script *s;
    str body; /* of the request */
    size_t body_at;
    bool body_stalls; /* says "not yet" before each piece */
    bool stalled;
    bool head_sent, ended, done;
    int status;
    int head_ref; /* { { name, value }, … } */
    char *out;    /* response body */
    size_t out_n, out_cap;
    int error; /* r->err at done */
};

/* -- protocol */

static struct exchange *of(const req *r)
{
    return r->conn;
}

static int on_info(req *r, const msg *info)
{
    (void)r;
    (void)info;
    return 0;
}

static int on_head(req *r, bool last)
{
    struct exchange *x = of(r);
    x->head_sent = true;
    x->ended = last;
    x->status = r->res.status;
    headers_lua_push(x->s->L, &r->res.h);
    x->head_ref = luaL_ref(x->s->L, LUA_REGISTRYINDEX);
    return 0;
}

static void keep_out(struct exchange *x, bufq *q)
{
    if (x->out_n + q->bytes > x->out_cap) {
        x->out_cap = 2 * (x->out_n + q->bytes);
        x->out = realloc(x->out, x->out_cap);
    }
    x->out_n += bufq_peek(q, x->out + x->out_n, q->bytes);
    bufq_clear(q);
}

static int on_push(sink *s, bufq *q, unsigned flags)
{
    struct exchange *x = container_of(s, struct exchange, sink);
    if (q->bytes) {
        keep_out(x, q);
    }
    x->ended = x->ended || (flags & SINK_LAST);
    return 0;
}

static void on_abort(sink *s, int err)
{
    container_of(s, struct exchange, sink)->error = err;
}

static const struct sink_ops out_ops = {.push = on_push, .abort = on_abort};

static sink *body_sink(req *r)
{
    return &of(r)->sink;
}

static ssize_t read_body(req *r, bufq *q, size_t max)
{
    struct exchange *x = of(r);
    size_t left = x->body.n - x->body_at;
    if (!left) {
        return ERR_EOF;
    }
    if (x->body_stalls && !x->stalled) {
        x->stalled = true;
        req_wake(r);
        return ERR_AGAIN;
    }
    x->stalled = false;
    size_t n = left < max ? left : max;
    n = x->body_stalls && n > BODY_PIECE ? BODY_PIECE : n;
    bufq_push_copy(q, str_of(x->body.p + x->body_at, n));
    x->body_at += n;
    return (ssize_t)n;
}

static int flush(req *r)
{
    (void)r;
    return 0;
}

static stream *hijack(req *r)
{
    (void)r;
    return NULL;
}

static void on_done(req *r)
{
    struct exchange *x = of(r);
    x->done = true;
    x->error = r->err;
}

static const struct proto_ops fake_proto = {
    .name = "test",
    .send_info = on_info,
    .send_head = on_head,
    .body_sink = body_sink,
    .read_body = read_body,
    .flush = flush,
    .hijack = hijack,
    .done = on_done,
};

/* -- the world */

static void make_world(void)
{
    if (world.l) {
        return;
    }
    rand_seed();
    world.mono_ms = 1000000;
    world.wall_ms = 1800000000000;
    clock_freeze(world.mono_ms,
                 world.wall_ms); /* before the loop, whose wheel begins at this time */
    world.l = loop_new();
    struct resolver_args args = {.ipv4 = true};
    world.resolver = resolver_new(world.l, &args);
    world.groups = group_set_new(world.l, world.resolver);
    script_process.l = world.l;
    flow_hooks = &hook_flow;
    seg *s;
    limit *rates;
    limit_conn *conns;
    if (seg_open(STR("limit"), LIMIT_BYTES, &s) < 0 || limit_open(s, &rates) < 0 ||
        seg_open(STR("limit_conn"), LIMIT_BYTES, &s) < 0 ||
        limit_conn_open(s, script_workers(), &conns) < 0) {
        abort();
    }
}

/* testing.dict(name, size) */
static int open_dict(lua_State *L)
{
    char name[SEG_NAME_MAX + 1];
    seg *s;
    dict *d;
    make_world();
    snprintf(name, sizeof name, "dict:%s", luaL_checkstring(L, 1));
    int rc = seg_open(str_c(name), (size_t)luaL_checknumber(L, 2), &s);
    rc = rc < 0 ? rc : dict_open(s, &d);
    if (rc < 0) {
        return luaL_error(L, "cannot make the shared dictionary '%s': %s", name, err_text(rc));
    }
    return 0;
}

static void turn(void)
{
    loop_turn(world.l, 0);
    clock_freeze(world.mono_ms, world.wall_ms);
}

/* testing.advance(seconds): timers fire in order. */
static int advance(lua_State *L)
{
    make_world();
    int64_t left = (int64_t)(luaL_checknumber(L, 1) * 1000);
    int64_t step = left / 2000 > STEP_MS ? left / 2000 : STEP_MS;
    turn();
    while (left > 0) {
        int64_t ms = left < step ? left : step;
        world.mono_ms += ms;
        world.wall_ms += ms;
        clock_freeze(world.mono_ms, world.wall_ms);
        turn();
        left -= ms;
    }
    return 0;
}

static int set_wall(lua_State *L)
{
    make_world();
    world.wall_ms = (int64_t)(luaL_checknumber(L, 1) * 1000);
    clock_freeze(world.mono_ms, world.wall_ms);
    return 0;
}

/* testing.generation(model, hooks): hooks as policy.flatten makes them. From here on the clock of this process stands still and is moved by the
 * waits of requests and by advance: a policy's spec waits for no real second. Nobody else is in the process (`moongate test`, `moongate explain`,
 * unit specs); who only asks what the core thinks of a model uses testing.refusal. */
static int new_generation(lua_State *L)
{
    char err[512];
    make_world();
    script *s = vm_of(L);
    struct generation *g = api_new(L, GENERATION, sizeof *g);
    g->conf = api_conf_build(L, 1, err, sizeof err);
    if (!g->conf) {
        return luaL_error(L, "%s", err);
    }
    load_hooks(s, L, 2);
    g->s = s;
    g->plan = plan_new(g->conf, 1, err, sizeof err);
    if (!g->plan || zones_make(g->conf, 1, NULL, NULL, err, sizeof err) < 0 || plan_attach(g->plan, world.groups, err, sizeof err) < 0 ||
        script_bind(s, g->plan) < 0) {
        return luaL_error(L, "%s", err);
    }
    return 1;
}

/* testing.refusal(model): why the core would not take it ("FILE:LINE: ..."); nil: it would. The clock stays the real one. */
static int refusal(lua_State *L)
{
    char err[4096] = "";
    conf *c = api_conf_build(L, 1, err, sizeof err);
    plan *p = c ? plan_new(c, 1, err, sizeof err) : NULL;
    lua_pushstring(L, err);
    if (p) {
        plan_unref(p);
        lua_pushnil(L);
    }
    if (c) {
        conf_free(c);
    }
    return 1;
}

/* testing.variables(): names of the $variables; families end in "_". */
static int variables(lua_State *L)
{
    static const char *const names[] = {
#define V(name, getter) #name,
#define P(prefix, getter) #prefix,
#include "flow/var.def"
    };
    lua_createtable(L, ARRAY_LEN(names), 0);
    for (int i = 0; i < (int)ARRAY_LEN(names); i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* -- requests */

static str text_field(lua_State *L, int table, const char *name, pool *p)
{
    lua_getfield(L, table, name);
    str s = vm_str(L, -1);
    s = s.p ? pool_dup(p, s) : s;
    lua_pop(L, 1);
    return s;
}

static void take_fields(lua_State *L, int table, const char *name, headers *h)
{
    lua_getfield(L, table, name);
    int at = lua_gettop(L), n = lua_istable(L, at) ? (int)lua_objlen(L, at) : 0;
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, at, i);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        str key = pool_dup(h->pool, vm_str(L, -2)), value = pool_dup(h->pool, vm_str(L, -1));
        if (headers_add(h, key, value) < 0) {
            luaL_error(L, "too many header fields");
        }
        lua_settop(L, at);
    }
    lua_settop(L, at - 1);
}

static void fill_request(lua_State *L, req *r, struct exchange *x, int spec)
{
    str method = text_field(L, spec, "method", &r->pool);
    r->client = (req_client){0}; /* the protocol writes it whole, and here that is us */
    r->in.version = HTTP_1_1;
    r->in.minor = 1;
    r->in.method_name = method;
    r->in.method = (uint8_t)method_find(method);
    r->in.target = text_field(L, spec, "target", &r->pool);
    r->in.length = -1;
    r->in.keepalive = true;
    take_fields(L, spec, "headers", &r->in.h);
    const field *host = headers_find(&r->in.h, TOKEN_HOST);
    uint16_t port;
    if (host && uri_host(host->value, &r->pool, &r->in.host, &port) < 0) {
        luaL_error(L, "the host is malformed");
    }
    x->body = text_field(L, spec, "body", &r->pool);
    if (x->body.p) {
        r->in.body = MSG_BODY_LENGTH;
        r->in.length = (int64_t)x->body.n;
    }
    lua_getfield(L, spec, "slow");
    x->body_stalls = lua_toboolean(L, -1);
    lua_getfield(L, spec, "tls");
    r->client.tls = lua_toboolean(L, -1);
    lua_pop(L, 2);
    str ip = text_field(L, spec, "client_ip", &r->pool);
    if (addr_parse(ip, 40000, &r->client.addr) < 0) {
        luaL_error(L, "client_ip '%s' is not an address", ip.p);
    }
    r->client.peer = r->client.addr;
    r->client.conn_requests = 1;
}

/* spec.listen: index from 1; the first when it is not said. */
static int listen_of(lua_State *L, const plan *p, int spec)
{
    lua_getfield(L, spec, "listen");
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n >= 1 && n <= p->conf->g.listens.n ? n - 1 : 0;
}

/* generation:request(spec): ready for its first phase. */
static int new_request(lua_State *L)
{
    struct generation *g = api_check(L, 1, GENERATION, sizeof *g);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct exchange *x = api_new(L, REQUEST, sizeof *x);
    x->sink.ops = &out_ops;
    x->s = g->s;
    x->head_ref = LUA_NOREF;
    x->r = req_new(world.l, g->plan, &g->plan->listens[listen_of(L, g->plan, 2)], &fake_proto, x);
    fill_request(L, x->r, x, 2);
    lua_createtable(L, 1, 0); /* the request keeps its generation */
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    lua_setfenv(L, -2);
    return 1;
}

static struct exchange *exchange_arg(lua_State *L)
{
    struct exchange *x = api_check(L, 1, REQUEST, sizeof *x);
    if (!x->r) {
        luaL_error(L, "the request is over");
    }
    return x;
}

/* x:admit(): finds the route. nil, or the name of the error. */
static int admit(lua_State *L)
{
    struct exchange *x = exchange_arg(L);
    int rc = step_admit(x->r);
    rc = rc < 0 ? rc : step_route(x->r);
    if (rc < 0 || x->r->has_reply) {
        lua_pushstring(L, rc < 0 ? err_name(rc) : "REPLY");
        return 1;
    }
    return 0;
}

/* Runs a phase to its end, moving the clock while it waits. */
static int run_to_end(req *r, enum conf_phase phase, int64_t limit_ms)
{
    int rc;
    while ((rc = hook_flow.run(r, phase)) == ERR_AGAIN && limit_ms > 0) {
        turn(); /* wakes of the request do nothing but end its turn: in_run is set */
        world.mono_ms += STEP_MS;
        world.wall_ms += STEP_MS;
        limit_ms -= STEP_MS;
        clock_freeze(world.mono_ms, world.wall_ms);
    }
    return rc;
}

/* x:run(phase, limit_s): "next", "answer", "reroute", "waiting", or an error's name. */
static int run_phase(lua_State *L)
{
    static const char *const phases[] = {"rewrite", "access", "balance", "header",
                                         "body",    "log",    NULL};
    struct exchange *x = exchange_arg(L);
    enum conf_phase phase = (enum conf_phase)luaL_checkoption(L, 2, NULL, phases);
    int64_t limit_ms = (int64_t)(luaL_optnumber(L, 3, 60) * 1000);
    if (!(x->r->route->hooks & (1u << phase))) {
        lua_pushliteral(L, "next");
        return 1;
    }
    x->r->in_run = true; /* wakes must not enter the step table */
    int rc = run_to_end(x->r, phase, limit_ms);
    x->r->in_run = false;
    static const char *const verdicts[] = {"next", "answer", "reroute"};
    lua_pushstring(L, rc >= 0 ? verdicts[rc] : rc == ERR_AGAIN ? "waiting" : err_name(rc));
    return 1;
}

/* x:respond(status, headers): a response head as if an upstream had sent it. */
static int respond(lua_State *L)
{
    struct exchange *x = exchange_arg(L);
    msg_init(&x->r->res, &x->r->pool);
    x->r->res.version = HTTP_1_1;
    x->r->res.status = (uint16_t)luaL_checkinteger(L, 2);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "headers");
    take_fields(L, lua_gettop(L), "headers", &x->r->res.h);
    return 0;
}

/* x:pass(chunks): the body hooks' output for these pieces of a body; nil and the error's name. */
static int pass_body(lua_State *L)
{
    struct exchange *x = exchange_arg(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    int n = (int)lua_objlen(L, 2), rc = 0;
    x->out_n = 0;
    x->ended = false;
    x->r->in_run = true;
    sink *head = hook_flow.body(x->r, &x->sink);
    for (int i = 1; i <= n + 1 && rc >= 0; i++) {
        bufq q;
        bufq_init(&q);
        lua_rawgeti(L, 2, i);
        if (i <= n) {
            bufq_push_copy(&q, vm_str(L, -1));
        }
        unsigned flags = i > n || n == 0 ? SINK_LAST : 0;
        while ((rc = sink_push(head, &q, flags)) == ERR_AGAIN) {
            world.mono_ms += STEP_MS;
            world.wall_ms += STEP_MS;
            clock_freeze(world.mono_ms, world.wall_ms);
            turn();
        }
        bufq_fini(&q);
        lua_pop(L, 1);
    }
    x->r->in_run = false;
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushstring(L, err_name(rc));
        return 2;
    }
    lua_pushlstring(L, x->out ? x->out : "", x->out_n);
    return 1;
}

static void set_text(lua_State *L, const char *name, str s)
{
    if (s.p) {
        lua_pushlstring(L, s.p, s.n);
        lua_setfield(L, -2, name);
    }
}

/* x:state(): what the hooks made of the request, and of the response so far. */
static int state(lua_State *L)
{
    struct exchange *x = exchange_arg(L);
    const req *r = x->r;
    lua_newtable(L);
    set_text(L, "method", r->in.method_name);
    set_text(L, "path", r->path);
    set_text(L, "query", r->query);
    set_text(L, "host", r->host);
    set_text(L, "peer", r->pinned_peer);
    set_text(L, "upstream", r->group ? r->group->name : (str){NULL, 0});
    headers_lua_push(L, &r->in.h);
    lua_setfield(L, -2, "request_headers");
    if (r->res.h.pool) {
        lua_pushinteger(L, r->res.status);
        lua_setfield(L, -2, "status");
        headers_lua_push(L, &r->res.h);
        lua_setfield(L, -2, "headers");
    }
    if (r->has_reply) {
        set_text(L, "body", r->reply_body.p ? r->reply_body : STR_EMPTY);
    }
    return 1;
}

/* x:start(limit_s): the whole request through the step table. true when it ended in time. */
static int start(lua_State *L)
{
    struct exchange *x = exchange_arg(L);
    int64_t limit_ms = (int64_t)(luaL_optnumber(L, 2, 60) * 1000);
    uint32_t others = req_count() - 1;
    req_start(x->r);
    while (req_count() > others && limit_ms > 0) {
        turn();
        world.mono_ms += STEP_MS;
        world.wall_ms += STEP_MS;
        limit_ms -= STEP_MS;
        clock_freeze(world.mono_ms, world.wall_ms);
    }
    lua_pushboolean(L, req_count() <= others);
    if (req_count() <= others) {
        x->r = NULL;
    }
    return 1;
}

/* x:answer(): { status, headers, body, error } as the client got them. */
static int answer(lua_State *L)
{
    const struct exchange *x = api_check(L, 1, REQUEST, sizeof *x);
    lua_newtable(L);
    lua_pushinteger(L, x->status);
    lua_setfield(L, -2, "status");
    lua_rawgeti(L, LUA_REGISTRYINDEX, x->head_ref);
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, x->out ? x->out : "", x->out_n);
    lua_setfield(L, -2, "body");
    if (x->error) {
        lua_pushstring(L, err_name(x->error));
        lua_setfield(L, -2, "error");
    }
    return 1;
}

static int finish(lua_State *L)
{
    struct exchange *x = api_check(L, 1, REQUEST, sizeof *x);
    if (x->r) {
        x->r->proto = NULL;
        req_free(x->r);
        x->r = NULL;
    }
    free(x->out);
    x->out = NULL;
    x->out_n = x->out_cap = 0;
    return 0;
}

/* x:repeat_phase(phase, n): for measurements; the same phase n times on one request. */
static int repeat_phase(lua_State *L)
{
    static const char *const phases[] = {"rewrite", "access", "balance", "header",
                                         "body",    "log",    NULL};
    struct exchange *x = exchange_arg(L);
    enum conf_phase phase = (enum conf_phase)luaL_checkoption(L, 2, NULL, phases);
    int n = (int)luaL_checkinteger(L, 3);
    for (int i = 0; i < n; i++) {
        if (hook_flow.run(x->r, phase) < 0) {
            return luaL_error(L, "the phase failed");
        }
        hook_flow.release(x->r);
    }
    return 0;
}

static void set_label(lua_State *L, const char *name, str s)
{
    set_text(L, name, s.n ? s : (str){NULL, 0});
}

/* x:walk(): what would happen to it (walk.h), as a table. */
static int walk(lua_State *L)
{
    struct exchange *x = exchange_arg(L);
    const req *r = x->r;
    struct walk w;
    walk_request(x->r, &w);
    state(L);
    set_label(L, "peer", w.peer);
    set_label(L, "head", w.head);
    if (r->site) {
        set_label(L, "site", r->site->c->label);
        lua_pushinteger(L, (lua_Integer)(r->site - r->plan->sites) + 1);
        lua_setfield(L, -2, "site_index");
    }
    if (r->route) {
        set_label(L, "route", r->route->c->label);
        lua_pushinteger(L, (lua_Integer)(r->route->c - r->site->c->routes.v) + 1);
        lua_setfield(L, -2, "route_index");
    }
    if (w.err) {
        lua_pushstring(L, err_text(w.err));
        lua_setfield(L, -2, "error");
        lua_pushinteger(L, err_status(w.err));
        lua_setfield(L, -2, "error_status");
    }
    lua_pushboolean(L, w.answered);
    lua_setfield(L, -2, "answered");
    return 1;
}

static const luaL_Reg request_methods[] = {
    {"admit", admit},    {"run", run_phase}, {"respond", respond},
    {"pass", pass_body}, {"state", state},   {"start", start},
    {"answer", answer},  {"finish", finish}, {"repeat_phase", repeat_phase},
    {"walk", walk},
    {NULL, NULL},
};

static void make_type(lua_State *L, const char *type, const luaL_Reg *methods)
{
    luaL_newmetatable(L, type);
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int testing_open(lua_State *L)
{
    static const luaL_Reg generation_methods[] = {{"request", new_request}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"dict", open_dict},    {"advance", advance},
        {"set_wall", set_wall}, {"generation", new_generation},
        {"refusal", refusal},   {"variables", variables},
        {NULL, NULL},
    };
    make_type(L, GENERATION, generation_methods);
    make_type(L, REQUEST, request_methods);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}

int luaopen_moongate_testing(lua_State *L)
{
    if (!vm_of(L)) {
        vm_attach(L);
    }
    return testing_open(L);
}
