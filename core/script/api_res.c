/* api_res.c — res: the response on its way to the client; attempt: what a balance hook decides. */
#include "back/client.h"
#include "back/group.h"
#include "script/api.h"

#include "base/clock.h"
#include "base/err.h"
#include "flow/plan.h"
#include "flow/steps.h"
#include "script/headers_lua.h"
#include "script/hook.h"

enum { BODY_MOST = 1 << 30, BODY_DEFAULT_MAX = 1024 * 1024, BODY_PIECE = 64 * 1024 };

/* -- fields of res */

static int get_status(lua_State *L)
{
    lua_pushinteger(L, api_request(L)->res.status);
    return 1;
}

static int set_status(lua_State *L)
{
    req *r = api_request(L);
    lua_Number status = luaL_checknumber(L, 3);
    if (!(status >= 200 && status <= 599) || status != (int)status) {
        return luaL_error(L, "a status is a whole number from 200 to 599, got %s",
                          lua_tostring(L, 3));
    }
    r->res.status = (uint16_t)status;
    r->res.reason = STR_EMPTY;
    return 0;
}

static int get_sent(lua_State *L)
{
    lua_pushnumber(L, (double)api_request(L)->sent_body);
    return 1;
}

static int get_duration(lua_State *L)
{
    const req *r = api_request(L);
    int64_t end = r->end_us ? r->end_us : clock_us();
    lua_pushnumber(L, (double)(end - r->start_us) / 1e6);
    return 1;
}

static const attempt *last_attempt(const req *r)
{
    return r->nattempts ? &r->attempts[r->nattempts - 1] : NULL;
}

static int get_upstream_status(lua_State *L)
{
    const attempt *a = last_attempt(api_request(L));
    if (a && a->status) {
        lua_pushinteger(L, a->status);
        return 1;
    }
    return 0;
}

static int get_upstream_peer(lua_State *L)
{
    const attempt *a = last_attempt(api_request(L));
    if (a && a->peer) {
        lua_pushlstring(L, a->peer ? a->peer->text : "", a->peer ? a->peer->text_n : 0);
        return 1;
    }
    return 0;
}

static int get_upstream_time(lua_State *L)
{
    const attempt *a = last_attempt(api_request(L));
    if (a && a->head_us) {
        lua_pushnumber(L, (double)(a->head_us - a->start_us) / 1e6);
        return 1;
    }
    return 0;
}

static int get_error(lua_State *L)
{
    const req *r = api_request(L);
    if (r->err) {
        lua_pushstring(L, err_name(r->err));
        return 1;
    }
    return 0;
}

static const struct api_prop res_props[] = {
    {"status", get_status, set_status, API_HEADER, "integer", "status sent to the client"},
    {"bytes_sent", get_sent, NULL, 0, "integer", "body bytes sent so far"},
    {"duration", get_duration, NULL, 0, "number", "seconds since the request's head was complete"},
    {"upstream_status", get_upstream_status, NULL, 0, "integer|nil", "status of the last attempt"},
    {"upstream_peer", get_upstream_peer, NULL, 0, "string|nil", "address of the last attempt"},
    {"upstream_time", get_upstream_time, NULL, 0, "number|nil", "seconds until its head was there"},
    {"error", get_error, NULL, 0, "string|nil",
     "name of the error that ended the request, such as TIMEOUT"},
    {NULL, NULL, NULL, 0, NULL, NULL},
};

/* -- functions of res */

static req *self(lua_State *L, const char *name)
{
    if (UNLIKELY(lua_type(L, 1) != LUA_TUSERDATA)) {
        luaL_error(L, "call it as res:%s(...), with a colon", name);
    }
    return api_request(L);
}

static int set_body(lua_State *L)
{
    req *r = self(L, "set_body");
    luaL_checktype(L, 2, LUA_TSTRING);
    r->reply_body = api_copy(L, r, 2);
    r->has_reply = true;
    return 0;
}

/* The upstream's body on its way into a hook. */
struct taking {
    bufq q;
    size_t max;
};

static void free_taking(void *arg)
{
    bufq_fini(&((struct taking *)arg)->q);
}

static int64_t read_time(const req *r)
{
    int64_t ms = r->route ? r->route->c->read_timeout : 0;
    return ms ? ms : 30000;
}

/* 0 complete, ERR_AGAIN, ERR_LIMIT, < 0. */
static int take_more(req *r, struct taking *k)
{
    fetch *f = &r->fetch;
    while (!f->body_done) {
        ssize_t n = f->ops->read_body(f, &k->q, BODY_PIECE);
        if (n == ERR_EOF) {
            return 0;
        }
        if (n < 0) {
            return (int)n;
        }
        if (k->q.bytes > k->max) {
            return ERR_LIMIT;
        }
    }
    return 0;
}

/* The bytes become the answer: what was read cannot be read again. */
static int push_taken(lua_State *L, req *r, struct taking *k)
{
    char *text = pool_try_alloc(&r->pool, k->q.bytes + 1, SIZE_MAX);
    if (!text) {
        return api_fail(L, ERR_MEM);
    }
    size_t n = bufq_peek(&k->q, text, k->q.bytes);
    bufq_clear(&k->q);
    r->reply_body = str_of(text, n);
    r->has_reply = true;
    lua_pushlstring(L, text, n);
    return 1;
}

static int fail_taken(lua_State *L, int rc)
{
    lua_pushnil(L);
    lua_pushstring(L, rc == ERR_LIMIT ? "the body is larger than max" : err_text(rc));
    return 2;
}

/* A body that was begun and cannot be had makes the response worthless: it is a cut one unless the
 * hook answers itself. */
static int fail_begun(lua_State *L, req *r, int rc)
{
    r->fetch.cut = true;
    return fail_taken(L, rc);
}

static int poll_body(task *t, lua_State *co)
{
    struct taking *k = t->wait_arg;
    uint64_t before = t->r->fetch.bytes_in;
    int rc = take_more(t->r, k);
    if (rc == ERR_AGAIN && t->r->fetch.bytes_in != before) {
        t->timed_out = false;
        timer_set(t->r->l, &t->timer, read_time(t->r));
    }
    if (rc == ERR_AGAIN && !t->timed_out) {
        return ERR_AGAIN;
    }
    return rc == 0 ? push_taken(co, t->r, k)
                   : fail_begun(co, t->r, rc == ERR_AGAIN ? ERR_TIMEOUT : rc);
}

static const struct wait_ops body_wait = {.kind = "res:body", .poll = poll_body};

static bool has_no_body(const req *r)
{
    return r->in.method == METHOD_HEAD || !r->fetching || r->res.body == MSG_BODY_NONE ||
           r->fetch.body_done;
}

static int get_body(lua_State *L)
{
    req *r = self(L, "body");
    double max = luaL_optnumber(L, 2, BODY_DEFAULT_MAX);
    if (!(max >= 0 && max <= BODY_MOST)) {
        return luaL_error(L, "body: max must be a number of bytes, 0 or more");
    }
    if (r->has_reply || has_no_body(r)) {
        vm_push(L, r->has_reply ? r->reply_body : STR_EMPTY);
        return 1;
    }
    if (r->res.body == MSG_BODY_LENGTH && (double)r->res.length > max) {
        return fail_taken(L, ERR_LIMIT); /* nothing was read: it goes through untouched */
    }
    struct taking *k = pool_alloc(&r->pool, sizeof *k);
    bufq_init(&k->q);
    k->max = (size_t)max;
    pool_on_fini(&r->pool, free_taking, k);
    int rc = take_more(r, k);
    if (rc == ERR_AGAIN) {
        return task_park(L, &body_wait, k, read_time(r));
    }
    return rc == 0 ? push_taken(L, r, k) : fail_begun(L, r, rc);
}

static int set_field(lua_State *L)
{
    (void)self(L, "set");
    lua_settop(L, 3);
    return headers_lua_set(L, HEADERS_RES, 2, 3);
}

static int add_field(lua_State *L)
{
    (void)self(L, "add");
    lua_settop(L, 3);
    return headers_lua_add(L, HEADERS_RES, 2, 3);
}

static int remove_field(lua_State *L)
{
    (void)self(L, "remove");
    return headers_lua_remove(L, HEADERS_RES, 2);
}

static int field_values(lua_State *L)
{
    (void)self(L, "values");
    return headers_lua_values(L, HEADERS_RES, 2);
}

static int fields(lua_State *L)
{
    (void)self(L, "fields");
    return headers_lua_fields(L, HEADERS_RES);
}

static const struct api_fn res_fns[] = {
    {"body", get_body, API_HEADER, "(max?: integer): string|nil, string|nil",
     "takes the whole body, waits for it; nil and why when it is larger than max (1 MiB) or breaks "
     "off"},
    {"set_body", set_body, API_HEADER, "(bytes: string)",
     "replaces the body; status and header fields stay"},
    {"set", set_field, API_HEADER, "(name: string, value: string|number|string[]|nil)",
     "sets a header field"},
    {"add", add_field, API_HEADER, "(name: string, value: string|number)", "adds a header field"},
    {"remove", remove_field, API_HEADER, "(name: string)", "removes a header field"},
    {"values", field_values, API_REQUEST, "(name: string): string[]",
     "all values of a header field"},
    {"fields", fields, API_REQUEST, "(): string[][]",
     "all header fields in order, { name, value } each"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_res = {"res", res_fns, res_props};

/* -- attempt */

static int get_number(lua_State *L)
{
    lua_pushinteger(L, api_request(L)->nattempts + 1);
    return 1;
}

static int get_peers(lua_State *L)
{
    const req *r = api_request(L);
    lua_newtable(L);
    int i = 0;
    if (r->group) {
        LIST_EACH(node, &r->group->peers)
        {
            const peer *p = list_item(node, peer, node);
            if (!p->gone && peer_is_eligible(p, clock_ms())) {
                lua_pushlstring(L, p->text, p->text_n);
                lua_rawseti(L, -2, ++i);
            }
        }
    }
    return 1;
}

static int get_last_error(lua_State *L)
{
    const attempt *a = last_attempt(api_request(L));
    if (a && a->err) {
        lua_pushstring(L, err_name(a->err));
        return 1;
    }
    return 0;
}

static int get_group(lua_State *L)
{
    const req *r = api_request(L);
    if (r->group) {
        vm_push(L, r->group->name);
        return 1;
    }
    return 0;
}

static int set_group(lua_State *L)
{
    for (const struct api_prop *p = api_req.props; p->name; p++) {
        if (p->set && str_eq(str_c(p->name), STR("upstream"))) {
            return p->set(L);
        }
    }
    return 0;
}

static const struct api_prop attempt_props[] = {
    {"number", get_number, NULL, 0, "integer", "1 for the first attempt"},
    {"peers", get_peers, NULL, 0, "string[]", "addresses of the peers that may be chosen now"},
    {"last_peer", get_upstream_peer, NULL, 0, "string|nil", "address of the attempt before"},
    {"last_error", get_last_error, NULL, 0, "string|nil", "why it failed, such as REFUSED"},
    {"upstream", get_group, set_group, API_BALANCE, "string|conf.Upstream|nil",
     "the group; assign another"},
    {NULL, NULL, NULL, 0, NULL, NULL},
};

static int pick(lua_State *L)
{
    req *r = api_request(L);
    luaL_checktype(L, 2, LUA_TSTRING);
    r->pinned_peer = api_copy(L, r, 2);
    return 0;
}

static const struct api_fn attempt_fns[] = {
    {"pick", pick, API_BALANCE, "(peer: string)", "takes this peer, \"127.0.0.1:3000\""},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_attempt = {"attempt", attempt_fns, attempt_props};

static void member_from(lua_State *L, script *s, const char *name)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->req_ref);
    lua_setfield(L, -2, name);
}

void api_res_open(script *s, lua_State *L)
{
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, HEADERS_RES_OBJECT);
    lua_setfield(L, -2, "headers");
    api_object(L, &api_res);
    s->res_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    member_from(L, s, "req");
    api_object(L, &api_attempt);
    s->attempt_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
