/* api_net.c — sets of networks and templates with $variables, compiled at load. */
#include "flow/req.h"
#include "script/api.h"

#include "base/err.h"
#include "flow/tmpl.h"
#include "flow/uservar.h"
#include "net/addr.h"
#include "script/task.h"

static const char NETS[] = "set of networks";
static const char TEMPLATE[] = "template";

struct nets {
    struct api_head head;
    int n;
    cidr v[];
};

/* core.networks { "10.0.0.0/8", … }: the set, or nil and why. */
static int new_nets(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = (int)lua_objlen(L, 1);
    struct nets *set = api_new(L, NETS, sizeof *set + (size_t)n * sizeof set->v[0]);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        str text = vm_str(L, -1);
        if (!text.p || cidr_parse(text, &set->v[i]) < 0) {
            lua_pushnil(L);
            lua_pushfstring(L, "'%s' is not a network", text.p ? text.p : "?");
            return 2;
        }
        lua_pop(L, 1);
    }
    set->n = n;
    return 1;
}

static bool set_has(const struct nets *set, const addr *a)
{
    for (int i = 0; i < set->n; i++) {
        if (cidr_has(&set->v[i], a)) {
            return true;
        }
    }
    return false;
}

static int nets_has(lua_State *L)
{
    const struct nets *set = api_check(L, 1, NETS, sizeof *set);
    addr a;
    str text = vm_str(L, 2);
    lua_pushboolean(L, text.p && addr_parse(text, 0, &a) == 0 && set_has(set, &a));
    return 1;
}

static int nets_has_client(lua_State *L)
{
    const struct nets *set = api_check(L, 1, NETS, sizeof *set);
    lua_pushboolean(L, set_has(set, &api_request(L)->client.addr));
    return 1;
}

struct template
{
    struct api_head head;
    tmpl *t;
    pool pool;
};

/* core.template(text): the template, or nil and why. */
static int new_template(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    char err[200] = "";
    struct template *o = api_new(L, TEMPLATE, sizeof *o);
    pool_init(&o->pool, 256);
    const uservars *before = uservars_name(vm_of(L)->vars);
    o->t = tmpl_compile(pool_dup(&o->pool, str_of(text, n)), &o->pool, err, sizeof err);
    uservars_name(before);
    if (!o->t) {
        lua_pushnil(L);
        lua_pushstring(L, err);
        return 2;
    }
    return 1;
}

/* core.declare { "name", … }: the variables that the configuration makes, in the order of its model; templates may name them from now on. */
static int declare(lua_State *L)
{
    script *s = vm_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = (int)lua_objlen(L, 1);
    str *names = pool_alloc(&s->pool, sizeof *names * (size_t)(n ? n : 1));
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, 1, i + 1);
        luaL_argcheck(L, lua_isstring(L, -1), 1, "names expected");
        names[i] = pool_dup(&s->pool, vm_str(L, -1));
        lua_pop(L, 1);
    }
    s->vars = uservars_declare(names, n, &s->pool);
    return 0;
}

static int template_render(lua_State *L)
{
    const struct template *o = api_check(L, 1, TEMPLATE, sizeof *o);
    vm_push(L, tmpl_eval(o->t, api_request(L)));
    return 1;
}

static int template_gc(lua_State *L)
{
    struct template *o = lua_touserdata(L, 1);
    pool_fini(&o->pool);
    return 0;
}

static const struct api_fn template_rows[] = {
    {"render", template_render, API_REQUEST, "(): string", "the text with the request's values"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_template = {"template", template_rows, NULL};

static const struct api_fn nets_rows[] = {
    {"has", nets_has, API_ANY, "(ip: string): boolean", "is the address in one of the networks?"},
    {"has_client", nets_has_client, API_REQUEST, "(): boolean", "is the client's?"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_net = {"networks", nets_rows, NULL};

void api_net_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, NETS, &api_net);
    lua_pop(L, 1);
    api_type(L, TEMPLATE, &api_template);
    lua_pushcfunction(L, template_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_nets);
    lua_setfield(L, -2, "networks");
    lua_pushcfunction(L, new_template);
    lua_setfield(L, -2, "template");
    lua_pushcfunction(L, declare);
    lua_setfield(L, -2, "declare");
}
