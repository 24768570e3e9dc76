/* api_req.c — req: what hooks read and change of the request, and how they answer it. */
#include "back/group.h"
#include "base/regex.h"
#include "flow/hook.h"
#include "script/api.h"

#include "base/err.h"
#include "base/fmt.h"
#include "flow/body.h"
#include "flow/answer.h"
#include "flow/plan.h"
#include "flow/var.h"
#include "http/cookie.h"
#include "script/headers_lua.h"
#include "script/hook.h"

enum { BODY_MOST = 1 << 30, BODY_DEFAULT_MAX = 1024 * 1024 };

/* -- fields */

static int push_or_nil(lua_State *L, str s)
{
    if (s.p) {
        lua_pushlstring(L, s.p, s.n);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int get_path(lua_State *L)
{
    vm_push(L, api_request(L)->path);
    return 1;
}

/* A normalised path, as the router wants it: no controls, nothing relative. */
static str path_arg(lua_State *L, req *r, int idx)
{
    luaL_checktype(L, idx, LUA_TSTRING);
    str path = api_copy(L, r, idx);
    uri parsed;
    if (!path.n || path.p[0] != '/') {
        luaL_error(L, "a path begins with '/', got '%s'", lua_tostring(L, idx));
    }
    str encoded = uri_encode_path(path, &r->pool);
    if (uri_parse(encoded, METHOD_GET, false, &r->pool, &parsed) < 0) {
        luaL_error(L, "'%s' is not a path a request can have", lua_tostring(L, idx));
    }
    return parsed.path;
}

static int set_path(lua_State *L)
{
    req *r = api_request(L);
    r->path = path_arg(L, r, 3);
    r->path_changed = true;
    return 0;
}

static int get_query_string(lua_State *L)
{
    return push_or_nil(L, api_request(L)->query);
}

static int set_query_string(lua_State *L)
{
    req *r = api_request(L);
    str q = {NULL, 0};
    if (!lua_isnil(L, 3)) {
        luaL_checktype(L, 3, LUA_TSTRING);
        q = api_copy(L, r, 3);
        for (size_t i = 0; i < q.n; i++) {
            unsigned char c = (unsigned char)q.p[i];
            if (c <= ' ' || c >= 0x7f || c == '#') {
                luaL_error(L, "query_string: byte %d must be percent-encoded", (int)i + 1);
            }
        }
    }
    r->query = q;
    r->query_changed = true;
    return 0;
}

static int get_method(lua_State *L)
{
    vm_push(L, api_request(L)->in.method_name);
    return 1;
}

static int set_method(lua_State *L)
{
    req *r = api_request(L);
    luaL_checktype(L, 3, LUA_TSTRING);
    str name = api_copy(L, r, 3);
    if (!headers_name_is_ok(name)) { /* the same grammar: a token, RFC 9110 §9.1 */
        luaL_error(L, "method: '%s' is not a method", name.p);
    }
    if (str_eq(name, STR("CONNECT"))) {
        luaL_error(L, "method: CONNECT cannot be set");
    }
    if ((r->in.method == METHOD_HEAD) !=
        str_eq(name, STR("HEAD"))) { /* whether a body follows is settled */
        luaL_error(
            L,
            "method: the answer to HEAD has no body, that to %s has; one cannot become the other",
            name.p);
    }
    r->in.method_name = name;
    r->in.method = (uint8_t)method_find(name);
    return 0;
}

static int get_host(lua_State *L)
{
    vm_push(L, api_request(L)->host);
    return 1;
}

static int get_target(lua_State *L)
{
    vm_push(L, api_request(L)->in.target);
    return 1;
}

static int get_scheme(lua_State *L)
{
    lua_pushstring(L, api_request(L)->client.tls ? "https" : "http");
    return 1;
}

static int get_client_ip(lua_State *L)
{
    char buf[ADDR_TEXT_MAX];
    size_t n = addr_print_ip(&api_request(L)->client.addr, buf, sizeof buf);
    lua_pushlstring(L, buf, n);
    return 1;
}

static int get_client_port(lua_State *L)
{
    lua_pushinteger(L, addr_port(&api_request(L)->client.addr));
    return 1;
}

static int get_version(lua_State *L)
{
    lua_pushnumber(L, api_request(L)->in.version / 10.0);
    return 1;
}

static int get_id(lua_State *L)
{
    char buf[20];
    fmt f = fmt_of(buf, sizeof buf);
    fmt_hex(&f, api_request(L)->id);
    vm_push(L, fmt_str(&f));
    return 1;
}

static int get_time(lua_State *L)
{
    lua_pushnumber(L, (double)api_request(L)->start_wall_ms / 1000.0);
    return 1;
}

static int get_length(lua_State *L)
{
    const req *r = api_request(L);
    if (r->in.body == MSG_BODY_LENGTH) {
        lua_pushnumber(L, (double)r->in.length);
    } else if (r->in.body == MSG_BODY_NONE) {
        lua_pushinteger(L, 0);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int get_route(lua_State *L)
{
    const req *r = api_request(L);
    return push_or_nil(L, r->route ? r->route->c->label : (str){NULL, 0});
}

static int get_site(lua_State *L)
{
    const req *r = api_request(L);
    return push_or_nil(L, r->site ? r->site->c->label : (str){NULL, 0});
}

static int get_upstream(lua_State *L)
{
    const req *r = api_request(L);
    return push_or_nil(L, r->group ? r->group->name : (str){NULL, 0});
}

/* A handle ({ name =, index = }) or a name. */
static int set_upstream(lua_State *L)
{
    req *r = api_request(L);
    int at = 3;
    if (lua_istable(L, 3)) {
        lua_getfield(L, 3, "name");
        at = lua_gettop(L);
    }
    if (lua_type(L, at) != LUA_TSTRING) {
        return luaL_error(L, "upstream must be a handle or a name, got %s", luaL_typename(L, 3));
    }
    str name = vm_str(L, at);
    const struct conf_upstreams *all = &r->plan->conf->g.upstreams;
    for (int i = 0; i < all->n; i++) {
        if (str_eq(all->v[i].name, name)) {
            r->group = r->plan->groups[i];
            return 0;
        }
    }
    return luaL_error(L, "there is no upstream '%s'", name.p);
}

static const struct api_prop req_props[] = {
    {"method", get_method, set_method, API_EARLY, "string", "request method"},
    {"path", get_path, set_path, API_EARLY, "string",
     "decoded, normalised path; what is routed and forwarded"},
    {"query_string", get_query_string, set_query_string, API_EARLY, "string|nil",
     "the query without \"?\", as sent"},
    {"target", get_target, NULL, 0, "string", "request target exactly as the client sent it"},
    {"host", get_host, NULL, 0, "string",
     "host in lower case, without port; \"\" when there is none"},
    {"scheme", get_scheme, NULL, 0, "string", "\"http\" or \"https\""},
    {"client_ip", get_client_ip, NULL, 0, "string",
     "address of the client, behind trusted proxies too"},
    {"client_port", get_client_port, NULL, 0, "integer", "port of the client"},
    {"http_version", get_version, NULL, 0, "number", "1.0, 1.1 or 2.0"},
    {"id", get_id, NULL, 0, "string", "id of the request in logs, hexadecimal"},
    {"time", get_time, NULL, 0, "number", "when the head was complete, seconds since the epoch"},
    {"content_length", get_length, NULL, 0, "integer|nil", "bytes of the body; nil when chunked"},
    {"route_label", get_route, NULL, 0, "string|nil",
     "where the route is written: \"gateway.lua:12\""},
    {"site_label", get_site, NULL, 0, "string|nil", "name of the site"},
    {"upstream", get_upstream, set_upstream, API_EARLY | API_BALANCE, "string|conf.Upstream|nil",
     "upstream the request goes to; assign a handle or a name"},
    {NULL, NULL, NULL, 0, NULL, NULL},
};

/* -- sub-objects: req.cookies.x, req.query.x, req.params.x */

static int cookie_index(lua_State *L)
{
    str name = {0}, value;
    if (lua_type(L, 2) == LUA_TSTRING) {
        name = vm_str(L, 2);
    }
    if (!name.n || !cookie_get(&api_request(L)->in.h, name, &value)) {
        return 0;
    }
    vm_push(L, value);
    return 1;
}

static int query_index(lua_State *L)
{
    req *r = api_request(L);
    str value;
    if (lua_type(L, 2) != LUA_TSTRING || !r->query.p ||
        !uri_query_get(r->query, vm_str(L, 2), &value)) {
        return 0;
    }
    vm_push(L, uri_decode(value, true, &r->pool));
    return 1;
}

/* Position of ":name" among the parameters of a pattern such as "/u/:id/x/:what", from 0; -1. */
static int param_position(str pattern, str name)
{
    str segment;
    int i = 0;
    while (str_split(&pattern, '/', &segment)) {
        if (segment.n && segment.p[0] == ':') {
            if (str_eq(str_from(segment, 1), name)) {
                return i;
            }
            i++;
        }
    }
    return -1;
}

static int params_index(lua_State *L)
{
    const req *r = api_request(L);
    if (!r->route) {
        return 0;
    }
    if (r->captures) {
        int i =
            lua_isnumber(L, 2) ? (int)lua_tointeger(L, 2) : regex_name(r->route->re, vm_str(L, 2));
        if (i < 0 || i >= r->captures->n || r->captures->at[2 * i] < 0) {
            return 0;
        }
        int32_t from = r->captures->at[2 * i], to = r->captures->at[2 * i + 1];
        vm_push(L, str_of(r->capture_subject.p + from, (size_t)(to - from)));
        return 1;
    }
    int i = lua_isnumber(L, 2) ? (int)lua_tointeger(L, 2) - 1
                               : param_position(r->route->c->pattern, vm_str(L, 2));
    if (i < 0 || i >= r->nparams) {
        return 0;
    }
    vm_push(L, r->params[i]);
    return 1;
}

static void sub_object(lua_State *L, const char *name, lua_CFunction index)
{
    lua_newuserdata(L, 0);
    lua_newtable(L);
    lua_pushcfunction(L, index);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, name);
}

/* -- functions */

/* The main task, with a check that the call was written with a colon. */
static task *self(lua_State *L, const char *name)
{
    if (UNLIKELY(lua_type(L, 1) != LUA_TUSERDATA)) {
        luaL_error(L, "call it as req:%s(...), with a colon", name);
    }
    (void)api_request(L);
    return task_main(task_current);
}

static void apply_headers(lua_State *L, int at)
{
    lua_pushnil(L);
    while (lua_next(L, at)) {
        int value = lua_gettop(L);
        if (lua_type(L, value - 1) != LUA_TSTRING) {
            luaL_error(L, "headers must be a table of names and values");
        }
        headers_lua_set(L, HEADERS_RES, value - 1, value);
        lua_settop(L, value - 1);
    }
}

static int status_arg(lua_State *L, int at)
{
    lua_Number status = luaL_checknumber(L, at);
    if (!(status >= 200 && status <= 599) || status != (int)status) {
        luaL_error(L, "a status is a whole number from 200 to 599, got %s", lua_tostring(L, at));
    }
    return (int)status;
}

/* In the header phase the answer replaces one that is there already. */
static int answer(lua_State *L, task *t, int status, str text, str type)
{
    req *r = t->r;
    bool replaces = t->phase == PHASE_HEADER;
    if (replaces) {
        headers_init(&r->res.h, &r->pool);
    }
    t->verdict = HOOK_ANSWER;
    req_reply(r, status, text, type);
    if (replaces && answer_finish_head(r) < 0) {
        return luaL_error(L, "too many header fields");
    }
    return 0;
}

void api_answered(lua_State *L)
{
    self(L, "reply")->verdict = HOOK_ANSWER;
}

/* A table becomes JSON. */
static str body_arg(lua_State *L, req *r, int at, str *type)
{
    switch (lua_type(L, at)) {
    case LUA_TNONE:
    case LUA_TNIL:
        return STR_EMPTY;
    case LUA_TTABLE:
        lua_getglobal(L, "require");
        lua_pushliteral(L, "cjson");
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "encode");
        lua_pushvalue(L, at);
        lua_call(L, 1, 1);
        *type = STR("application/json");
        return api_copy(L, r, lua_gettop(L));
    case LUA_TSTRING:
    case LUA_TNUMBER:
        return api_copy(L, r, at);
    default:
        luaL_error(L, "the body must be a string or a table (sent as JSON), got %s",
                   luaL_typename(L, at));
        return STR_EMPTY;
    }
}

static int reply(lua_State *L)
{
    task *t = self(L, "reply");
    int status = status_arg(L, 2);
    lua_settop(L, 4);
    str type = STR_EMPTY;
    str text = body_arg(L, t->r, 3, &type);
    answer(L, t, status, text, type);
    if (lua_istable(L, 4)) {
        apply_headers(L, 4);
    } else if (!lua_isnil(L, 4)) {
        return luaL_error(L, "headers must be a table, got %s", luaL_typename(L, 4));
    }
    hook_push_mark(L);
    return 1;
}

static int redirect(lua_State *L)
{
    task *t = self(L, "redirect");
    luaL_checktype(L, 2, LUA_TSTRING);
    int status = lua_isnoneornil(L, 3) ? 302 : status_arg(L, 3);
    if (status < 301 || status > 308 || status == 304 || status == 305 || status == 306) {
        return luaL_error(L, "a redirect has status 301, 302, 303, 307 or 308, got %d", status);
    }
    lua_settop(L, 2);
    answer(L, t, status, STR_EMPTY, STR_EMPTY);
    lua_pushliteral(L, "Location");
    headers_lua_set(L, HEADERS_RES, 3, 2);
    hook_push_mark(L);
    return 1;
}

static int reroute(lua_State *L)
{
    task *t = self(L, "route");
    t->r->path = path_arg(L, t->r, 2);
    t->r->path_changed = true;
    t->verdict = HOOK_REROUTE;
    hook_push_mark(L);
    return 1;
}

static int get_var(lua_State *L)
{
    req *r = self(L, "var")->r;
    str name = vm_str(L, 2);
    if (!name.p || !var_known(r, name)) {
        return luaL_error(L, "there is no variable '$%s'", name.p ? name.p : "?");
    }
    return push_or_nil(L, var_get(r, name));
}

static int query_args(lua_State *L)
{
    req *r = self(L, "query_args")->r;
    str rest = r->query, name, value;
    lua_newtable(L);
    int table = lua_gettop(L);
    while (rest.p && uri_query_next(&rest, &name, &value)) {
        vm_push(L, uri_decode(name, true, &r->pool));
        lua_pushvalue(L, -1);
        lua_rawget(L, table);
        if (lua_isnil(L, -1)) { /* the first of a name counts, as in req.query */
            lua_pop(L, 1);
            vm_push(L, uri_decode(value, true, &r->pool));
            lua_rawset(L, table);
        }
        lua_settop(L, table);
    }
    return 1;
}

/* -- body */

static int push_body(lua_State *L, req *r, size_t max)
{
    str text;
    int rc = body_text(r, max, &text);
    if (rc < 0) {
        lua_pushnil(L);
        lua_pushstring(L, rc == ERR_LIMIT ? "the body is larger than max" : err_text(rc));
        return 2;
    }
    lua_pushlstring(L, text.p, text.n);
    return 1;
}

static int64_t body_time(const req *r)
{
    return r->route ? r->route->c->body_timeout : 30000;
}

static int poll_body(task *t, lua_State *co)
{
    req *r = t->r;
    size_t max = (size_t)(uintptr_t)t->wait_arg;
    uint64_t before = r->received;
    int rc = body_hold(r);
    if (rc == ERR_AGAIN && r->received != before) {
        t->timed_out = false;
        timer_set(r->l, &t->timer, body_time(r));
    }
    if (rc == ERR_AGAIN && !t->timed_out) {
        return ERR_AGAIN;
    }
    if (rc == 0) {
        return push_body(co, r, max);
    }
    return api_fail(co, rc == ERR_AGAIN ? ERR_CLIENT_TIMEOUT : rc);
}

static const struct wait_ops body_wait = {.kind = "req:body", .poll = poll_body};

static int get_body(lua_State *L)
{
    req *r = self(L, "body")->r;
    double max = luaL_optnumber(L, 2, BODY_DEFAULT_MAX);
    if (!(max >= 0 && max <= BODY_MOST)) {
        return luaL_error(L, "body: max must be a number of bytes, 0 or more");
    }
    if (!r->body) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (r->in.body == MSG_BODY_LENGTH && (double)r->in.length > max) {
        lua_pushnil(L);
        lua_pushliteral(L, "the body is larger than max");
        return 2;
    }
    int rc = body_hold(r);
    if (rc == 0) {
        return push_body(L, r, (size_t)max);
    }
    if (rc == ERR_AGAIN) {
        return task_park(L, &body_wait, (void *)(uintptr_t)max, body_time(r));
    }
    return api_fail(L, rc);
}

static int set_body(lua_State *L)
{
    req *r = self(L, "set_body")->r;
    luaL_checktype(L, 2, LUA_TSTRING);
    body_replace(r, api_copy(L, r, 2));
    return 0;
}

/* -- header fields */

static int set_field(lua_State *L)
{
    (void)self(L, "set");
    lua_settop(L, 3);
    return headers_lua_set(L, HEADERS_REQ, 2, 3);
}

static int add_field(lua_State *L)
{
    (void)self(L, "add");
    lua_settop(L, 3);
    return headers_lua_add(L, HEADERS_REQ, 2, 3);
}

static int remove_field(lua_State *L)
{
    (void)self(L, "remove");
    return headers_lua_remove(L, HEADERS_REQ, 2);
}

static int field_values(lua_State *L)
{
    (void)self(L, "values");
    return headers_lua_values(L, HEADERS_REQ, 2);
}

static int fields(lua_State *L)
{
    (void)self(L, "fields");
    return headers_lua_fields(L, HEADERS_REQ);
}

static const struct api_fn req_fns[] = {
    {"reply", reply, API_HEAD,
     "(status: integer, body?: string|table, headers?: table<string, string>): moongate.Verdict",
     "answers the request; `return req:reply(...)`. A table is sent as JSON"},
    {"redirect", redirect, API_HEAD, "(url: string, status?: integer): moongate.Verdict",
     "answers with a redirect (302)"},
    {"route", reroute, API_EARLY, "(path: string): moongate.Verdict",
     "goes on as if the client had asked for `path`"},
    {"var", get_var, API_REQUEST, "(name: string): string|nil", "value of a $variable"},
    {"query_args", query_args, API_REQUEST, "(): table<string, string>",
     "decoded arguments, the first of each name"},
    {"body", get_body, API_EARLY, "(max?: integer): string|nil, string|nil",
     "whole body, waits for it; nil and why when it is larger than max (1 MiB) or does not come"},
    {"set_body", set_body, API_EARLY, "(bytes: string)", "replaces the body"},
    {"set", set_field, API_REQUEST, "(name: string, value: string|number|string[]|nil)",
     "sets a header field"},
    {"add", add_field, API_REQUEST, "(name: string, value: string|number)", "adds a header field"},
    {"remove", remove_field, API_REQUEST, "(name: string)", "removes a header field"},
    {"values", field_values, API_REQUEST, "(name: string): string[]",
     "all values of a header field"},
    {"fields", fields, API_REQUEST, "(): string[][]",
     "all header fields in order, { name, value } each"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_req = {"req", req_fns, req_props};

void api_req_open(script *s, lua_State *L)
{
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, HEADERS_REQ_OBJECT);
    lua_setfield(L, -2, "headers");
    sub_object(L, "cookies", cookie_index);
    sub_object(L, "query", query_index);
    sub_object(L, "params", params_index);
    api_object(L, &api_req);
    s->req_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
