/* config.c — a native configuration as bytes: the sealed evaluation, the checks, the model, the compiled plan.
 *
 * Everything is read from memory but our own lua/ and scripts/. Input after a line "---- include" is the file that `include
 * "more.lua"` reads; the policy "options" takes typed options. Policies are trusted code, so no input ever becomes one.
 * Properties: a configuration or an error, never both, never neither; places of messages exist; what is accepted compiles; loading
 * it again gives the same model, as every worker does. */
#include "support.h"

#include "conf/build.h"
#include "flow/plan.h"
#include "script/script.h"

#include <stdio.h>
#include <string.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
/* Of libFuzzer; absent when files are replayed. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

#define ROOT "/gateway/"
#define BORDER "\n---- include\n"

enum { MEMORY = 64 * 1024 * 1024 };

/* ---- what a configuration may read */

struct input {
    str main, more;
};

static const char options_policy[] =
    "local mg = require \"moongate\"\n"
    "local t = mg.schema\n"
    "return mg.policy { name = \"options\", doc = \"\", options = t.record {\n"
    "  n = t.number(0, 100):optional(), text = t.string():optional(), flag = t.boolean():optional(),\n"
    "}, new = function() return { access = function() end } end }\n";

static int input_read(void *arg, str path, pool *p, str *out)
{
    const struct input *in = arg;
    const char *share = script_find_share();
    if (str_eq(path, STR(ROOT "gateway.lua"))) {
        *out = in->main;
    } else if (str_eq(path, STR(ROOT "more.lua"))) {
        *out = in->more;
    } else if (str_eq(path, STR(ROOT "policies/options.lua"))) {
        *out = str_c(options_policy);
    } else if (str_has_prefix(path, str_c(share)) && !strstr(pool_cstr(p, path), "..")) {
        return script_reader_disk.read(NULL, path, p, out);
    } else {
        *out = STR("not there");
        return ERR_NOT_FOUND;
    }
    return 0;
}

static int input_glob(void *arg, str pattern, pool *p, str *out)
{
    (void)arg;
    (void)p;
    *out = str_has_prefix(pattern, STR(ROOT)) ? STR(ROOT "more.lua\n") : STR_EMPTY;
    return 0;
}

static int input_env(void *arg, str name, pool *p, str *out)
{
    (void)arg;
    (void)p;
    *out = STR("127.0.0.1:3000");
    return str_eq(name, STR("NONE")) ? ERR_NOT_FOUND : 0;
}

static struct input split(const uint8_t *data, size_t size)
{
    str all = str_of((const char *)data, size);
    const char *border = memmem(data, size, BORDER, strlen(BORDER));
    if (!border) {
        return (struct input){.main = all, .more = STR("return {}")};
    }
    size_t at = (size_t)(border - all.p);
    return (struct input){.main = str_of(all.p, at), .more = str_from(all, at + strlen(BORDER))};
}

/* ---- one load */

struct verdict {
    const struct input *in;
    size_t errors;
};

/* At most; Lua counts a lone CR as a line too. */
static int lines_of(str text)
{
    int n = 1;
    for (size_t i = 0; i < text.n; i++) {
        n += text.p[i] == '\n' || text.p[i] == '\r';
    }
    return n;
}

static void on_diag(void *arg, const struct script_diag *d)
{
    struct verdict *v = arg;
    v->errors += d->is_error;
    REQUIRE(d->message.n > 0 && d->text.n >= d->message.n);
    REQUIRE(d->line >= 0 && d->column >= 0);
    if (str_has_suffix(d->file, STR("gateway.lua"))) {
        REQUIRE(d->line <= lines_of(v->in->main));
    }
}

static str plan_and_dump(script *s, conf *c, pool *p)
{
    char err[512] = "";
    plan *compiled = plan_new(c, 1, err, sizeof err);
    if (!compiled) {
        fatal("accepted, but does not compile: %s", err);
    }
    REQUIRE(script_bind(s, compiled) == 0);
    str text = conf_dump(c, p);
    plan_unref(compiled);
    return text;
}

/* The canonical text of the model, or .p == NULL when it was refused. */
static str load(struct input *in, pool *p)
{
    struct verdict v = {.in = in};
    struct script_diag_sink sink = {on_diag, &v};
    struct script_reader reader = {input_read, input_glob, input_env, in};
    struct script_args args = {
        .share = script_find_share(),
        .reader = &reader,
        .path = ROOT "gateway.lua",
        .generation = 1,
        .memory = MEMORY,
    };
    conf *c = NULL;
    script *s = script_load(&args, &c, &sink);
    REQUIRE(!s == !c && !s == (v.errors > 0));
    if (!s) {
        return (str){NULL, 0};
    }
    str text = plan_and_dump(s, c, p);
    script_free(s);
    conf_free(c);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = split(data, size);
    pool p;
    pool_init(&p, 4096);
    str first = load(&in, &p);
    if (first.p) {
        str again = load(&in, &p);
        REQUIRE(again.p && str_eq(first, again));
    }
    pool_fini(&p);
    return 0;
}

/* ---- a mutator that knows words: bytes alone rarely come past the Lua parser */

static const char *const words[] = {
    "gateway {",  "upstream \"u\" {", "site \"a\" {", "route \"/x/*\" {", "route \"~ ^/x\" {", "policy \"options\" {",
    "include \"more.lua\"", "env \"A\"", "file \"x\"", "}", "},", "=", ",", "{", "(", ")", "function(req) end", "true", "false",
    "nil", "0", "-1", "1e99", "0/0", "\"5s\"", "\"16k\"", "\"\"", "\"$host\"", "\"${\"", "\"127.0.0.1:3000\"", "\"http://u/x\"",
    "\"[::1]:0 tls\"", "\"*\"", "\"*.a\"", "\"~ (\"", "workers", "user", "listen", "limits", "scripts", "shared", "trust",
    "header", "recursive", "balance", "hash", "keepalive", "idle", "requests", "timeout", "health", "passive", "tls", "cert",
    "key", "verify", "name", "methods", "when", "query", "cookie", "proxy", "redirect", "to", "status", "reply", "body", "type",
    "headers", "host", "timeouts", "connect", "read", "total", "client", "body_limit", "buffer", "memory", "count", "size",
    "retry", "tries", "on", "use", "set", "add", "default", "remove", "request_headers", "security", "log", "access", "format",
    "http", "websocket", "n", "text", "flag", "pcall", "string.rep", "pairs", "setmetatable", "for i = 1, 3 do", "end", "local a",
};

static bool is_word(uint8_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Copies a piece of the input, a table most likely, to another place of it. */
static size_t transplant(uint8_t *data, size_t size, size_t max, unsigned from, unsigned to)
{
    size_t start = from % size, end = start;
    int depth = 0;
    do {
        depth += data[end] == '{' ? 1 : data[end] == '}' ? -1 : 0;
        end++;
    } while (end < size && (depth > 0 || data[end] != ',') && data[end] != '\n' && end - start < 512);
    uint8_t piece[512];
    memcpy(piece, data + start, end - start);
    size_t at = to % size;
    return support_put(data, size, max, at, at, str_of((const char *)piece, end - start));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    unsigned pick = seed * 2654435761u, place = pick >> 8;
    if (size == 0 || seed % 4 == 0) {
        return LLVMFuzzerMutate ? LLVMFuzzerMutate(data, size, max) : size;
    }
    if (seed % 4 == 1) {
        return transplant(data, size, max, place, pick ^ (seed >> 3));
    }
    size_t at = place % size, end = at;
    while (at > 0 && is_word(data[at - 1]) && is_word(data[at])) {
        at--;
    }
    while (end < size && (is_word(data[end]) || end == at)) {
        end++;
    }
    char text[64];
    int n = snprintf(text, sizeof text, " %s ", words[(seed >> 4) % ARRAY_LEN(words)]);
    return support_put(data, size, max, at, seed % 4 == 2 ? at : end, str_of(text, (size_t)n));
}
