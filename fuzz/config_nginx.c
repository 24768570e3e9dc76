/* config_nginx.c — nginx syntax as bytes: lexer, parser, include, translation, lints, the model, the compiled plan, and what `import` makes of it.
 *
 * Everything is read from memory but our own lua/. Input after a line "---- NAME" is the file of that name, for `include`, geo ranges and password files; names of
 * certificates and keys mean a pair that is always there, any other file is not. Properties: a configuration or an error, never both, never neither, and never an
 * error of Lua; places of messages exist; two states that load the same get the same model, as workers do.
 *
 * The Lua states are kept from input to input, and lines that Lua runs count as coverage: most of what is tested here is Lua. */
#include "support.h"

#include "base/log.h"
#include "conf/build.h"
#include "flow/plan.h"
#include "script/api_conf.h"
#include "script/vm.h"

#include <fnmatch.h>
#include <luajit.h>
#include <stdio.h>
#include <string.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
/* Of libFuzzer; absent when files are replayed. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

#define ROOT "/gateway/"
#define MAIN ROOT "nginx.conf"
#define BORDER "\n---- "

enum { FILES_MAX = 8, STATES = 2, LOADS_MAX = 400, COUNTERS = 32768, PIECE_MAX = 2048, WORD_MAX = 64 };

/* libFuzzer takes what stands here for counters of edges. */
__attribute__((section("__libfuzzer_extra_counters"), used)) static uint8_t lua_lines[COUNTERS];

/* ---- what a configuration may read */

static struct {
    str name, text;
} files[FILES_MAX];
static int nfiles;
static str cert, key; /* of spec/conf/broken/tls */

static str find_file(str name)
{
    for (int i = 0; i < nfiles; i++) {
        if (str_eq(files[i].name, name)) {
            return files[i].text;
        }
    }
    return (str){NULL, 0};
}

static int input_read(void *arg, str path, pool *p, str *out)
{
    (void)arg;
    const char *share = script_find_share();
    if (str_has_prefix(path, str_c(share)) && !strstr(pool_cstr(p, path), "..")) {
        return script_reader_disk.read(NULL, path, p, out);
    }
    *out = str_has_prefix(path, STR(ROOT)) ? find_file(str_from(path, strlen(ROOT))) : (str){NULL, 0};
    if (!out->p && (str_has_suffix(path, STR(".pem")) || str_has_suffix(path, STR(".crt")))) {
        *out = cert;
    } else if (!out->p && str_has_suffix(path, STR(".key"))) {
        *out = key;
    }
    if (!out->p) {
        *out = STR("No such file or directory");
        return ERR_NOT_FOUND;
    }
    return 0;
}

static int input_glob(void *arg, str pattern, pool *p, str *out)
{
    (void)arg;
    const char *text = pool_cstr(p, pattern);
    *out = STR_EMPTY;
    for (int i = 0; i < nfiles; i++) {
        str path = pool_printf(p, ROOT "%.*s", STR_ARG(files[i].name));
        if (fnmatch(text, path.p, FNM_PATHNAME | FNM_PERIOD) == 0) {
            *out = pool_printf(p, "%.*s%.*s\n", STR_ARG(*out), STR_ARG(path));
        }
    }
    return 0;
}

/* Only names of hosts are asked for. */
static int input_env(void *arg, str name, pool *p, str *out)
{
    (void)arg;
    (void)p;
    *out = STR("127.0.0.1 ::1");
    return str_has_prefix(name, STR("host:no")) ? ERR_NOT_FOUND : 0;
}

static struct script_reader reader = {input_read, input_glob, input_env, NULL};

static void split(str all)
{
    size_t edge = strlen(BORDER);
    str name = STR("nginx.conf");
    for (nfiles = 0; nfiles < FILES_MAX;) {
        const char *border = memmem(all.p, all.n, BORDER, edge);
        size_t n = border ? (size_t)(border - all.p) : all.n;
        files[nfiles].name = name;
        files[nfiles++].text = str_of(all.p, n);
        if (!border) {
            return;
        }
        all = str_from(all, n + edge);
        name = str_of(all.p, str_find(all, '\n', 0));
        all = str_from(all, name.n < all.n ? name.n + 1 : all.n);
    }
}

/* ---- states */

/* How near a wrong word is to each right one is most of the time that a wrong file takes. */
static const char glue[] =
    "package.loaded['moongate.distance'] = { between = function(a, b) return a:sub(1, 3) == b:sub(1, 3) and 1 or 9 end }\n"
    "local conf, core, native = require 'conf', require 'moongate.core', require 'nginx.native'\n"
    "local function load(path, judge)\n"
    "  local written\n"
    "  local ok, model, diags = conf.load { path = path, reader = core.read, glob = core.glob, env = core.env, lint = true,\n"
    "    judge = judge, scopes = function(main, c) written = native.text(main, c) end }\n"
    "  assert(#conf.report(diags) > 0 or #diags == 0)\n"
    "  return ok, model and model.gateway, diags, written\n"
    "end\n"
    "local words = {}\n"
    "for _, module in ipairs(require 'nginx.directives') do\n"
    "  for name in pairs(module.directives) do words[#words + 1] = name end\n"
    "end\n"
    "table.sort(words)\n"
    "return load, table.concat(words, '\\n') .. '\\n'\n";

static struct state {
    script *s;
    int load_ref;
    int loads;
} states[STATES];

static pool kept; /* as long as the process */
static str names; /* of all directives, one a line */

/* Pairs of lines that follow one another tell as much as lines with their file's name, and cost nothing to tell. */
#ifdef __clang__
__attribute__((no_sanitize("address", "undefined", "coverage")))
#endif
static void on_line(lua_State *L, lua_Debug *ar)
{
    (void)L;
    static uint32_t last;
    uint32_t at = (last * 40503u ^ (uint32_t)ar->currentline) % COUNTERS;
    last = (uint32_t)ar->currentline;
    lua_lines[at] += lua_lines[at] < 255;
}

static int run(lua_State *L, const char *what)
{
    if (luaL_loadbuffer(L, what, strlen(what), "=glue") != 0 || lua_pcall(L, 0, 2, 0) != 0) {
        fatal("%s", lua_tostring(L, -1));
    }
    return 2;
}

static void open_state(struct state *st)
{
    struct script_args args = {.share = script_find_share(), .reader = &reader, .path = MAIN, .generation = 1};
    st->s = vm_new(&args);
    REQUIRE(st->s);
    lua_State *L = st->s->L;
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); /* compiled code calls no hooks */
    run(L, glue);
    if (!names.p) {
        str text = vm_str(L, -1);
        names = pool_dup(&kept, text);
    }
    lua_pop(L, 1);
    st->load_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    st->loads = 0;
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
}

static lua_State *fresh(struct state *st)
{
    if (st->s && st->loads++ == LOADS_MAX) {
        vm_free(st->s);
        st->s = NULL;
    }
    if (!st->s) {
        open_state(st);
    }
    return st->s->L;
}

static str slurp(const char *name)
{
    str out = STR_EMPTY, path = pool_printf(&kept, "%s/spec/conf/broken/tls/%s", script_find_share(), name);
    REQUIRE(script_reader_disk.read(NULL, path, &kept, &out) == 0);
    return out;
}

/* Lua's memory is none that a leak detector looks into: what hangs on it is given back first. */
__attribute__((destructor)) static void close_states(void)
{
    for (int i = 0; i < STATES; i++) {
        if (states[i].s) {
            vm_free(states[i].s);
        }
    }
    pool_fini(&kept);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_set_level(LOG_EMERG_);
    REQUIRE(script_find_share());
    pool_init(&kept, 4096);
    cert = slurp("app.pem");
    key = slurp("app.key");
    fresh(&states[0]);
    return 0;
}

/* ---- one load */

static const str refused = {NULL, 0};
static pool *dump_pool;
static str dumped; /* what judge made of the model */

/* As `moongate check` does: nil, or why the core does not take the model. */
static int judge(lua_State *L)
{
    char err[4096] = "";
    lua_getfield(L, 1, "gateway");
    conf *c = api_conf_build(L, -1, err, sizeof err);
    plan *p = c ? plan_new(c, 1, err, sizeof err) : NULL;
    REQUIRE(p || err[0]);
    dumped = p ? conf_dump(c, dump_pool) : refused;
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

static int lines_of(str text)
{
    int n = 1;
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '\n';
    }
    return n;
}

static int int_field(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

/* Diagnostics at the top of the stack. Errors among them. */
static int check_diags(lua_State *L)
{
    int errors = 0, n = (int)lua_objlen(L, -1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        lua_getfield(L, -1, "level");
        errors += strcmp(lua_tostring(L, -1), "error") == 0;
        lua_pop(L, 1);
        lua_getfield(L, -1, "file");
        str file = vm_str(L, -1);
        lua_pop(L, 1);
        REQUIRE(file.n > 0);
        str text = str_has_prefix(file, STR(ROOT)) ? find_file(str_from(file, strlen(ROOT))) : (str){NULL, 0};
        int line = int_field(L, "line");
        REQUIRE(line >= 0 && int_field(L, "col") >= 0 && (!text.p || line <= lines_of(text)));
        lua_pop(L, 1);
    }
    return errors;
}

/* The canonical text of the model, or .p == NULL when it was refused. */
static str load(struct state *st, pool *p)
{
    lua_State *L = fresh(st);
    dump_pool = p;
    dumped = refused;
    lua_getglobal(L, "debug");
    lua_getfield(L, -1, "traceback");
    lua_rawgeti(L, LUA_REGISTRYINDEX, st->load_ref);
    lua_pushliteral(L, MAIN);
    lua_pushcfunction(L, judge);
    if (lua_pcall(L, 2, 4, 2) != 0) {
        fatal("an error of Lua: %s", lua_tostring(L, -1));
    }
    bool ok = lua_toboolean(L, 3);
    REQUIRE(ok == lua_istable(L, 4) && ok == (dumped.p != NULL));
    REQUIRE(!ok || lua_isstring(L, 6));
    lua_pushvalue(L, 5);
    REQUIRE(ok == (check_diags(L) == 0));
    lua_settop(L, 0);
    return dumped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    split(str_of((const char *)data, size));
    pool p;
    pool_init(&p, 4096);
    str first = load(&states[0], &p);
    if (first.p && size % 4 == 0) {
        str again = load(&states[1], &p);
        REQUIRE(again.p && str_eq(first, again));
    }
    pool_fini(&p);
    return 0;
}

/* ---- a mutator that knows directives: bytes alone rarely come past the parser */

static const char *const values[] = {
    "on", "off", "0", "1", "-1", "10", "99999999999", "0.5", "10s", "1h 30m", "1m", "16k", "1g", "4 8k", "\"\"", "''", "\"a b\"", "'$host'", "$host", "${host}", "$1", "$arg_x",
    "$cookie_a", "$http_x", "$upstream_addr", "$nothing", "/", "/x/", "=", "~", "~*", "^~", "@name", "\"~^/(?<n>a)\"", "(", "[", "\\.php$", "http://u", "http://u/x",
    "https://127.0.0.1:8443/$uri", "http://unix:/tmp/s:/", "127.0.0.1", "127.0.0.1:80", "[::1]:80", "*:80", "80", "unix:/tmp/s", "10.0.0.0/8", "::/0", "all", "default", "default_server",
    "ssl", "http2", "proxy_protocol", "backup", "down", "weight=5", "max_fails=0", "resolve", "zone=z:1m", "rate=1r/s", "burst=5", "nodelay", "always", "last", "break", "redirect",
    "permanent", "GET", "POST", "404", "500 502", "=200", "200", "301", "site.pem", "site.key", "more.conf", "*.conf", "users", "error timeout", "http_500", "sha", "localhost", "nohost",
};

static const char *const frames[] = {
    " server { listen 81; } ", " location /y { } ", " location ~ \\.x$ { } ", " if ($host = a) { } ", " upstream v { server 127.0.0.1; } ", " map $host $m { default 0; a 1; } ",
    " geo $g { default 0; 10.0.0.0/8 1; } ", " split_clients $host $s { 50% a; * b; } ", " limit_except GET { deny all; } ", " types { a/b c; } ", " include more.conf; ",
    " limit_req_zone $binary_remote_addr zone=z:1m rate=1r/s; ", " log_format f '$host'; ", " http { } ", " events { } ",
};

static bool is_end(uint8_t c)
{
    return c == ';' || c == '{' || c == '}' || c == '\n';
}

/* The statement around `at`, a block with all that is in it. */
static size_t statement(const uint8_t *data, size_t size, size_t *at)
{
    while (*at > 0 && !is_end(data[*at - 1])) {
        --*at;
    }
    size_t end = *at;
    for (int depth = 0; end < size && end - *at < PIECE_MAX; end++) {
        depth += data[end] == '{' ? 1 : data[end] == '}' ? -1 : 0;
        if (depth <= 0 && (data[end] == ';' || data[end] == '}')) {
            return end + 1;
        }
    }
    return end;
}

static str random_name(unsigned pick)
{
    size_t at = pick % names.n;
    while (at > 0 && names.p[at - 1] != '\n') {
        at--;
    }
    return str_of(names.p + at, str_find(str_from(names, at), '\n', 0));
}

/* The word around `at`. */
static size_t word(const uint8_t *data, size_t size, size_t *at)
{
    while (*at > 0 && data[*at - 1] > ' ' && !is_end(data[*at - 1])) {
        --*at;
    }
    size_t end = *at;
    while (end < size && data[end] > ' ' && !is_end(data[end])) {
        end++;
    }
    return end;
}

/* A whole statement: moved, doubled, dropped, or made anew. */
static size_t mutate_statement(uint8_t *data, size_t size, size_t max, unsigned pick, size_t at)
{
    static uint8_t piece[PIECE_MAX];
    size_t end = statement(data, size, &at), to = (pick >> 5) % size;
    (void)statement(data, size, &to);
    size_t n = end - at < PIECE_MAX ? end - at : PIECE_MAX;
    char text[256];
    switch (pick % 5) {
    case 0:
        return support_put(data, size, max, at, end, STR_EMPTY);
    case 1:
        return support_put(data, size, max, to, to, str_c(frames[(pick >> 3) % ARRAY_LEN(frames)]));
    case 2: {
        int len = snprintf(text, sizeof text, " %.*s %s%s%s; ", STR_ARG(random_name(pick >> 4)), values[(pick >> 9) % ARRAY_LEN(values)], pick & 64 ? " " : "",
                           pick & 64 ? values[(pick >> 17) % ARRAY_LEN(values)] : "");
        return support_put(data, size, max, to, to, str_of(text, (size_t)len));
    }
    default:
        memcpy(piece, data + at, n);
        return support_put(data, size, max, to, to, str_of((const char *)piece, n));
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    unsigned pick = seed * 2654435761u;
    if (size == 0 || seed % 8 == 0) {
        return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, size, max) : size;
    }
    size_t at = (pick >> 7) % size;
    if (seed % 8 < 4) {
        return mutate_statement(data, size, max, pick ^ (pick >> 15), at);
    }
    size_t end = word(data, size, &at);
    str with = seed % 8 == 4 ? random_name(pick ^ (pick >> 13)) : str_c(values[(pick >> 11) % ARRAY_LEN(values)]);
    char text[WORD_MAX];
    int n = snprintf(text, sizeof text, seed % 8 == 7 ? " %.*s " : "%.*s", STR_ARG(with));
    return support_put(data, size, max, at, seed % 8 == 7 ? at : end, str_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
}
