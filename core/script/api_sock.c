/* api_sock.c — mg.socket.tcp(): connections of hooks and tasks, in the manner of LuaSocket, waiting without holding anybody up. */
#include "script/sock.h"

#include "base/err.h"
#include "script/api.h"
#include "script/task.h"

#include <stdlib.h>

static const char TYPE[] = "socket";

enum { CONNECT_MS = 5000, SEND_MS = 30000, RECEIVE_MS = 30000, IDLE_MS = 60000 };
enum { PIECES_MAX = 256 };

/* What sock:… returns. While a task waits, the registry keeps the object alive under its address. */
struct handle {
    struct api_head head;
    sock *k;      /* owned */
    task *reader; /* waits for a connection or for bytes */
    task *writer;
    int64_t connect_ms, send_ms, receive_ms;
    /* -- of what the reader waits for */
    bool tls, verify;
    char *tls_name; /* owned */
    uint8_t want;   /* enum sock_want */
    size_t n;
    size_t sending; /* bytes of the send under way */
};

static void on_job(job *j)
{
    struct handle *h = container_of(j, sock, job)->owner;
    if (h->reader) {
        task_wake(h->reader);
    }
    if (h->writer) {
        task_wake(h->writer);
    }
}

static struct handle *check(lua_State *L)
{
    return api_check(L, 1, TYPE, sizeof(struct handle));
}

static void hold(lua_State *L, struct handle *h)
{
    lua_pushlightuserdata(L, h);
    lua_pushvalue(L, 1);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

static void let_go(lua_State *L, struct handle *h)
{
    if (!h->reader && !h->writer) {
        lua_pushlightuserdata(L, h);
        lua_pushnil(L);
        lua_rawset(L, LUA_REGISTRYINDEX);
    }
}

static int push_error(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushstring(L, err == ERR_TIMEOUT ? "timeout" : err == ERR_EOF || err == ERR_TLS_EOF ? "closed" : err_text(err));
    return 2;
}

static int push_true(lua_State *L)
{
    lua_pushboolean(L, 1);
    return 1;
}

static int busy(lua_State *L, const char *what)
{
    lua_pushnil(L);
    lua_pushfstring(L, "socket busy %s", what);
    return 2;
}

static void end_read(task *t, struct handle *h)
{
    h->reader = NULL;
    let_go(t->s->L, h);
}

static void cancel_read(task *t)
{
    struct handle *h = t->wait_arg;
    sock_close(h->k); /* half a message was read: nobody can go on with the rest */
    end_read(t, h);
}

/* -- connect */

/* TLS when asked for, then the result. */
static int connected(lua_State *L, struct handle *h, int rc)
{
    const char *why = NULL;
    if (rc == 0 && h->tls) {
        rc = sock_tls(h->k, str_c(h->tls_name ? h->tls_name : ""), h->verify, &why);
    }
    if (rc == ERR_AGAIN) {
        return rc;
    }
    if (rc == 0) {
        return push_true(L);
    }
    push_error(L, rc);
    if (why) {
        lua_pop(L, 1);
        lua_pushfstring(L, "TLS: %s", why);
    }
    return 2;
}

static int poll_connect(task *t, lua_State *co)
{
    struct handle *h = t->wait_arg;
    int n;
    if (t->timed_out) {
        sock_close(h->k);
        n = push_error(co, ERR_TIMEOUT);
    } else {
        int rc = h->k->race || h->k->query ? sock_connect_wait(h->k, script_process.l) : 0;
        n = rc == ERR_AGAIN ? rc : connected(co, h, rc);
    }
    if (n != ERR_AGAIN) {
        end_read(t, h);
    }
    return n;
}

static const struct wait_ops connect_wait = {.kind = "socket:connect", .poll = poll_connect, .cancel = cancel_read};

static void set_tls(lua_State *L, struct handle *h, const char *name, bool verify)
{
    free(h->tls_name);
    h->tls_name = name && *name ? strdup(name) : NULL;
    h->verify = verify;
    h->tls = true;
    (void)L;
}

/* tls = true, or { name = "…", verify = false }. */
static void read_tls_option(lua_State *L, struct handle *h, int opts, const char *host)
{
    h->tls = false;
    lua_getfield(L, opts, "tls");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "name");
        lua_getfield(L, -2, "verify");
        set_tls(L, h, lua_isstring(L, -2) ? lua_tostring(L, -2) : host, lua_isnil(L, -1) || lua_toboolean(L, -1));
        lua_pop(L, 2);
    } else if (lua_toboolean(L, -1)) {
        set_tls(L, h, host, true);
    }
    lua_pop(L, 1);
}

static int start_connect(lua_State *L, struct handle *h, int rc)
{
    int n = rc == ERR_AGAIN ? rc : connected(L, h, rc);
    if (n != ERR_AGAIN) {
        return n;
    }
    hold(L, h);
    h->reader = task_current;
    return task_park(L, &connect_wait, h, h->connect_ms);
}

static int sock_api_connect(lua_State *L)
{
    struct handle *h = check(L);
    size_t n;
    const char *host = luaL_checklstring(L, 2, &n);
    bool has_port = lua_type(L, 3) == LUA_TNUMBER;
    int opts = has_port ? 4 : 3;
    lua_Number port = has_port ? lua_tonumber(L, 3) : 0;
    if (!task_current || !script_process.l) {
        return luaL_error(L, "socket:connect: cannot wait here: only hooks and tasks can");
    }
    if (port < 0 || port > 65535 || (!has_port && strncmp(host, "unix:", 5) != 0)) {
        return luaL_error(L, "socket:connect: a port from 1 to 65535 is needed after the host");
    }
    if (h->reader || h->writer) {
        return busy(L, h->reader ? "reading" : "writing");
    }
    struct sock_target to = {.host = str_of(host, n), .port = (uint16_t)port, .connect_ms = h->connect_ms};
    h->tls = false;
    if (lua_istable(L, opts)) {
        read_tls_option(L, h, opts, host);
        lua_getfield(L, opts, "pool"); /* stays on the stack while it is used */
        to.pool = lua_isstring(L, -1) ? vm_str(L, -1) : STR_EMPTY;
    }
    to.tag = h->tls ? sock_tls_tag(str_c(h->tls_name ? h->tls_name : ""), h->verify) : 0;
    return start_connect(L, h, sock_connect(h->k, script_process.l, script_process.resolver, &to));
}

static int sock_api_starttls(lua_State *L)
{
    struct handle *h = check(L);
    const char *name = luaL_optstring(L, 2, "");
    if (h->reader || h->writer) {
        return busy(L, h->reader ? "reading" : "writing");
    }
    if (!sock_is_open(h->k)) {
        return push_error(L, ERR_EOF);
    }
    set_tls(L, h, name, lua_isnoneornil(L, 3) || lua_toboolean(L, 3));
    return start_connect(L, h, 0);
}

/* -- receive */

static int received(lua_State *L, struct handle *h, int rc, str data)
{
    int n = 1;
    if (rc == 0) {
        vm_push(L, data);
    } else {
        push_error(L, rc);
        vm_push(L, data);
        n = 3;
        if (rc != ERR_TIMEOUT) {
            sock_close(h->k);
            return n;
        }
    }
    sock_received(h->k);
    return n;
}

static int poll_receive(task *t, lua_State *co)
{
    struct handle *h = t->wait_arg;
    str data;
    int rc = sock_receive(h->k, (enum sock_want)h->want, h->n, &data);
    if (rc == ERR_AGAIN && !t->timed_out) {
        return rc;
    }
    int n = received(co, h, rc == ERR_AGAIN ? ERR_TIMEOUT : rc, data);
    end_read(t, h);
    return n;
}

static const struct wait_ops receive_wait = {.kind = "socket:receive", .poll = poll_receive, .cancel = cancel_read};

static int receive(lua_State *L, struct handle *h, enum sock_want want, size_t n)
{
    if (h->reader) {
        return busy(L, "reading");
    }
    h->want = (uint8_t)want;
    h->n = n;
    str data;
    int rc = sock_receive(h->k, want, n, &data);
    if (rc != ERR_AGAIN) {
        return received(L, h, rc, data);
    }
    hold(L, h);
    h->reader = task_current;
    return task_park(L, &receive_wait, h, h->receive_ms);
}

static size_t check_bytes(lua_State *L, int idx)
{
    lua_Number n = luaL_checknumber(L, idx);
    if (!(n >= 0 && n <= SOCK_RECEIVE_MAX)) {
        luaL_error(L, "socket:receive: from 0 to %d bytes, got %s", SOCK_RECEIVE_MAX, lua_tostring(L, idx));
    }
    return (size_t)n;
}

static int sock_api_receive(lua_State *L)
{
    struct handle *h = check(L);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        return receive(L, h, SOCK_BYTES, check_bytes(L, 2));
    }
    static const char *const kinds[] = {"*l", "*a", NULL};
    return receive(L, h, luaL_checkoption(L, 2, "*l", kinds) == 0 ? SOCK_LINE : SOCK_ALL, 0);
}

static int sock_api_receive_any(lua_State *L)
{
    struct handle *h = check(L);
    size_t n = check_bytes(L, 2);
    return receive(L, h, SOCK_ANY, n ? n : 1);
}

/* -- send */

static int sent(lua_State *L, struct handle *h, int rc)
{
    if (rc == 0) {
        lua_pushnumber(L, (lua_Number)h->sending);
        return 1;
    }
    sock_close(h->k); /* how much of it arrived is not known */
    return push_error(L, rc);
}

static void end_write(task *t, struct handle *h)
{
    h->writer = NULL;
    let_go(t->s->L, h);
}

static int poll_send(task *t, lua_State *co)
{
    struct handle *h = t->wait_arg;
    int rc = sock_flush(h->k);
    if (rc == ERR_AGAIN && !t->timed_out) {
        return rc;
    }
    int n = sent(co, h, rc == ERR_AGAIN ? ERR_TIMEOUT : rc);
    end_write(t, h);
    return n;
}

static void cancel_send(task *t)
{
    struct handle *h = t->wait_arg;
    sock_close(h->k);
    end_write(t, h);
}

static const struct wait_ops send_wait = {.kind = "socket:send", .poll = poll_send, .cancel = cancel_send};

/* A string, or a flat list of strings; they stay on the stack while the views are used. */
static int collect(lua_State *L, str *v)
{
    if (!lua_istable(L, 2)) {
        luaL_checkstring(L, 2);
        v[0] = vm_str(L, 2);
        return 1;
    }
    int n = (int)lua_objlen(L, 2);
    if (n > PIECES_MAX) {
        luaL_error(L, "socket:send: at most %d pieces; use table.concat", PIECES_MAX);
    }
    luaL_checkstack(L, n, "too many pieces");
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        v[i] = vm_str(L, -1);
        if (!v[i].p) {
            luaL_error(L, "socket:send: piece %d is a %s", i + 1, luaL_typename(L, -1));
        }
    }
    return n;
}

static int sock_api_send(lua_State *L)
{
    struct handle *h = check(L);
    str v[PIECES_MAX];
    int n = collect(L, v);
    if (h->writer) {
        return busy(L, "writing");
    }
    h->sending = 0;
    for (int i = 0; i < n; i++) {
        h->sending += v[i].n;
    }
    int rc = sock_send(h->k, v, n);
    if (rc != ERR_AGAIN) {
        return sent(L, h, rc);
    }
    hold(L, h);
    h->writer = task_current;
    return task_park(L, &send_wait, h, h->send_ms);
}

/* -- the rest */

static int64_t check_ms(lua_State *L, int idx, int64_t otherwise)
{
    if (lua_isnoneornil(L, idx)) {
        return otherwise;
    }
    lua_Number s = luaL_checknumber(L, idx);
    if (!(s >= 0.001 && s <= 86400)) {
        luaL_error(L, "socket: a timeout is from 0.001 to 86400 seconds, got %s", lua_tostring(L, idx));
    }
    return (int64_t)(s * 1000);
}

static int sock_api_timeouts(lua_State *L)
{
    struct handle *h = check(L);
    bool one = lua_gettop(L) == 2;
    h->connect_ms = check_ms(L, 2, h->connect_ms);
    h->send_ms = check_ms(L, one ? 2 : 3, h->send_ms);
    h->receive_ms = check_ms(L, one ? 2 : 4, h->receive_ms);
    return 0;
}

static int sock_api_keepalive(lua_State *L)
{
    struct handle *h = check(L);
    int64_t idle_ms = check_ms(L, 2, IDLE_MS);
    uint32_t size = api_count(L, 3, SOCK_POOL_SIZE, "pool size");
    if (h->reader || h->writer) {
        return busy(L, h->reader ? "reading" : "writing");
    }
    if (!sock_is_open(h->k)) {
        return push_error(L, ERR_EOF);
    }
    if (sock_park(h->k, script_process.l, idle_ms, size ? size : 1) < 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "bytes are pending: the connection was closed");
        return 2;
    }
    return push_true(L);
}

static int sock_api_close(lua_State *L)
{
    struct handle *h = check(L);
    if (h->reader || h->writer) {
        return busy(L, h->reader ? "reading" : "writing");
    }
    bool was_open = sock_is_open(h->k);
    sock_close(h->k);
    return was_open ? push_true(L) : push_error(L, ERR_EOF);
}

static int sock_api_reused(lua_State *L)
{
    const struct handle *h = check(L);
    lua_pushinteger(L, (lua_Integer)h->k->exchanges);
    return 1;
}

static int sock_gc(lua_State *L)
{
    struct handle *h = lua_touserdata(L, 1);
    sock_free(h->k);
    free(h->tls_name);
    h->k = NULL;
    h->tls_name = NULL;
    return 0;
}

static int new_tcp(lua_State *L)
{
    struct handle *h = api_new(L, TYPE, sizeof *h);
    h->k = sock_new(on_job, h);
    h->connect_ms = CONNECT_MS;
    h->send_ms = SEND_MS;
    h->receive_ms = RECEIVE_MS;
    return 1;
}

static const struct api_fn rows[] = {
    {"connect", sock_api_connect, API_ANY, "(host: string, port?: integer, options?: table): boolean|nil, string|nil",
     "from the pool or anew; host \"unix:/path\" needs no port; options: tls (true or { name, verify }), pool (name of the pool)"},
    {"starttls", sock_api_starttls, API_ANY, "(name?: string, verify?: boolean): boolean|nil, string|nil", "TLS from here on"},
    {"send", sock_api_send, API_ANY, "(data: string|string[]): integer|nil, string|nil", "all of it; the number of bytes"},
    {"receive", sock_api_receive, API_ANY, "(what?: integer|string): string|nil, string|nil, string|nil",
     "n bytes, \"*l\" a line (default), \"*a\" up to the end; on errors also what came"},
    {"receive_any", sock_api_receive_any, API_ANY, "(max: integer): string|nil, string|nil", "what comes first"},
    {"timeouts", sock_api_timeouts, API_ANY, "(connect: number, send?: number, receive?: number)", "seconds; one number is for all three"},
    {"keepalive", sock_api_keepalive, API_ANY, "(idle?: number, size?: integer): boolean|nil, string|nil",
     "gives the connection to the worker's pool: seconds it may idle, connections the pool keeps"},
    {"close", sock_api_close, API_ANY, "(): boolean|nil, string|nil", ""},
    {"reused", sock_api_reused, API_ANY, "(): integer", "how often the connection came out of a pool; 0: it is new"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_sock = {"socket", rows, NULL};

void api_sock_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, TYPE, &api_sock);
    lua_pushcfunction(L, sock_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_tcp);
    lua_setfield(L, -2, "tcp");
}
