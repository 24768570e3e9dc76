/* api_load.c — what loading a generation needs: files through its reader, environment, the model's
 * fields. */
#include "script/api.h"

#include "base/err.h"
#include "conf/build.h"
#include "script/task.h"
#include "tls/ctx.h"

typedef int read_fn(void *arg, str key, pool *p, str *out);

static int through(lua_State *L, read_fn *fn)
{
    script *s = vm_of(L);
    size_t n;
    const char *key = luaL_checklstring(L, 1, &n);
    pool scratch;
    pool_init(&scratch, 4096);
    str out = {NULL, 0};
    int rc = fn(s->reader.arg, str_of(key, n), &scratch, &out);
    int pushed = 1;
    if (rc == 0) {
        vm_push(L, out);
    } else {
        lua_pushnil(L);
        vm_push(L, out.p ? out : str_c(err_text(rc)));
        pushed = 2;
    }
    pool_fini(&scratch);
    return pushed;
}

static int load_read(lua_State *L)
{
    return through(L, vm_of(L)->reader.read);
}

static int load_env(lua_State *L)
{
    return through(L, vm_of(L)->reader.env);
}

static int load_glob(lua_State *L)
{
    int n = through(L, vm_of(L)->reader.glob);
    if (n == 2) {
        return n;
    }
    str rest = vm_str(L, -1), line;
    lua_newtable(L);
    int i = 0;
    while (str_split(&rest, '\n', &line)) {
        if (line.n) {
            vm_push(L, line);
            lua_rawseti(L, -2, ++i);
        }
    }
    return 1;
}

static void push_default(lua_State *L, const struct conf_field *f)
{
    switch (f->type) {
    case CONF_BOOL:
        lua_pushboolean(L, f->def != 0);
        break;
    case CONF_INT:
    case CONF_MS:
    case CONF_SIZE:
    case CONF_ENUM:
    case CONF_REF:
        lua_pushnumber(L, (double)f->def);
        break;
    case CONF_STR:
    case CONF_TMPL:
    case CONF_STRS:
    case CONF_REFS:
    case CONF_OBJS:
        lua_pushnil(L);
        break;
    }
}

static void push_field(lua_State *L, const struct conf_field *f)
{
    static const char *const types[] = {"bool", "int",  "ms",  "size", "str", "tmpl",
                                        "enum", "strs", "ref", "refs", "objs"};
    lua_createtable(L, 0, 6);
    lua_pushstring(L, f->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, types[f->type]);
    lua_setfield(L, -2, "type");
    if (f->kind < CONF_KIND_COUNT) {
        lua_pushstring(L, conf_kind_name(f->kind));
        lua_setfield(L, -2, "kind");
    }
    if (f->words) {
        lua_pushstring(L, f->words);
        lua_setfield(L, -2, "words");
    }
    push_default(L, f);
    lua_setfield(L, -2, "default");
    lua_pushstring(L, f->doc ? f->doc : "");
    lua_setfield(L, -2, "doc");
}

static int load_fields(lua_State *L)
{
    lua_newtable(L);
    for (int k = 0; k < CONF_KIND_COUNT; k++) {
        int n;
        const struct conf_field *f = conf_fields((enum conf_kind)k, &n);
        lua_createtable(L, n, 0);
        for (int i = 0; i < n; i++) {
            push_field(L, &f[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, conf_kind_name((enum conf_kind)k));
    }
    return 1;
}

/* (cert, key, host?): true; nil and why the pair is no good; false when the certificate is not for
 * the host. */
static int load_tls_check(lua_State *L)
{
    size_t cert_n, key_n, host_n;
    const char *cert = luaL_checklstring(L, 1, &cert_n);
    const char *key = luaL_checklstring(L, 2, &key_n);
    const char *host = luaL_optlstring(L, 3, NULL, &host_n);
    struct tls_cert_args args = {.cert_pem = str_of(cert, cert_n), .key_pem = str_of(key, key_n)};
    args.cert_name = luaL_optstring(L, 4, "certificate");
    args.key_name = luaL_optstring(L, 5, "key");
    char err[256] = "";
    int64_t not_after;
    if (tls_cert_check(&args, err, sizeof err, &not_after) < 0) {
        lua_pushnil(L);
        lua_pushstring(L, err);
        return 2;
    }
    lua_pushboolean(L, !host || tls_cert_covers(&args, str_of(host, host_n)));
    return 1;
}

static int load_generation(lua_State *L)
{
    lua_pushnumber(L, (double)vm_of(L)->generation);
    return 1;
}

static int load_worker(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)script_process.index);
    return 1;
}

static const struct api_fn rows[] = {
    {"read", load_read, API_ANY, "(path: string): string|nil, string|nil",
     "bytes of a file of this generation; nil and why"},
    {"glob", load_glob, API_ANY, "(pattern: string): string[]|nil, string|nil",
     "paths that match, sorted"},
    {"env", load_env, API_ANY, "(name: string): string|nil",
     "an environment variable, as it was when the generation was read"},
    {"fields", load_fields, API_ANY, "(): table", "the configuration model, object kind by kind"},
    {"tls_check", load_tls_check, API_ANY,
     "(cert: string, key: string, host?: string, cert_name?: string, key_name?: string): "
     "boolean|nil, string|nil",
     "does a pair belong together, and is it for the host? nil and why not, or false"},
    {"generation", load_generation, API_ANY, "(): integer", "number of this generation"},
    {"worker", load_worker, API_ANY, "(): integer", "index of this worker"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_load = {"core", rows, NULL};
