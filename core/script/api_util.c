/* api_util.c — small things without an object: hashes, ids, random numbers, time, encodings, the
 * log. */
#include "flow/req.h"
#include "script/api.h"

#include "base/clock.h"
#include "base/fmt.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"
#include "http/uri.h"
#include "script/task.h"
#include "tls/digest.h"

enum { LOG_LINE_MAX = 8192, UUID_BATCH = 512 };

static str arg(lua_State *L, int idx)
{
    size_t n;
    const char *p = luaL_checklstring(L, idx, &n);
    return str_of(p, n);
}

/* The same in every worker and release: 52 bits, so that it is exact in a number and % is fair. */
static int util_hash(lua_State *L)
{
    uint64_t h = hash_keyed(arg(L, 1), 0x6d6f6f6e67617465ull, api_count(L, 2, 0, "seed"));
    lua_pushnumber(L, (double)(h >> 12));
    return 1;
}

static int util_crc32c(lua_State *L)
{
    lua_pushnumber(L, hash_crc32c(0, arg(L, 1)));
    return 1;
}

static void push_hex(lua_State *L, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char out[2 * DIGEST_MAX];
    for (size_t i = 0; i < n && i < DIGEST_MAX; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    lua_pushlstring(L, out, 2 * n);
}

static int util_digest(lua_State *L)
{
    uint8_t out[DIGEST_MAX];
    size_t n = digest_once(arg(L, 1), STR_EMPTY, arg(L, 2), out);
    if (!n) {
        return luaL_error(L, "unknown digest '%s'", lua_tostring(L, 1));
    }
    if (lua_toboolean(L, 3)) {
        lua_pushlstring(L, (const char *)out, n);
    } else {
        push_hex(L, out, n);
    }
    return 1;
}

static int util_hmac(lua_State *L)
{
    uint8_t out[DIGEST_MAX];
    str key = arg(L, 2);
    size_t n = key.n ? digest_once(arg(L, 1), key, arg(L, 3), out) : 0;
    if (!n) {
        return luaL_error(L, key.n ? "unknown digest '%s'" : "the key of an HMAC must not be empty",
                          lua_tostring(L, 1));
    }
    if (lua_toboolean(L, 4)) {
        lua_pushlstring(L, (const char *)out, n);
    } else {
        push_hex(L, out, n);
    }
    return 1;
}

/* Time depends on the lengths only: for secrets. */
static int util_equal(lua_State *L)
{
    str a = arg(L, 1), b = arg(L, 2);
    unsigned char diff = a.n == b.n ? 0 : 1;
    for (size_t i = 0; i < a.n; i++) {
        diff |= (unsigned char)(a.p[i] ^ (b.n ? b.p[i % b.n] : 0));
    }
    lua_pushboolean(L, diff == 0);
    return 1;
}

static const uint8_t *secure_bytes(size_t n)
{
    static uint8_t room[UUID_BATCH];
    static size_t used = UUID_BATCH;
    if (used + n > UUID_BATCH) {
        rand_secure(room, sizeof room);
        used = 0;
    }
    used += n;
    return room + used - n;
}

/* RFC 9562 version 4. */
static int util_uuid(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t b[16];
    char out[36];
    memcpy(b, secure_bytes(sizeof b), sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (int i = 0, o = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[o++] = '-';
        }
        out[o++] = digits[b[i] >> 4];
        out[o++] = digits[b[i] & 15];
    }
    lua_pushlstring(L, out, sizeof out);
    return 1;
}

static int util_random(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushnumber(L, (double)(rand_u64() >> 11) / 9007199254740992.0);
        return 1;
    }
    lua_Number n = luaL_checknumber(L, 1);
    if (!(n >= 1 && n <= 4294967295.0)) {
        return luaL_error(L, "random: n must be from 1 to 2^32 - 1");
    }
    lua_pushnumber(L, (double)rand_below((uint32_t)n) + 1);
    return 1;
}

static int util_random_bytes(lua_State *L)
{
    lua_Number n = luaL_checknumber(L, 1);
    if (!(n >= 0 && n <= 65536)) {
        return luaL_error(L, "random_bytes: n must be from 0 to 65536");
    }
    char *room = lua_newuserdata(L, (size_t)n + 1);
    rand_secure(room, (size_t)n);
    lua_pushlstring(L, room, (size_t)n);
    return 1;
}

static int util_now(lua_State *L)
{
    lua_pushnumber(L, (double)clock_wall_ms() / 1000.0);
    return 1;
}

static int util_time(lua_State *L)
{
    lua_pushnumber(L, (double)(clock_wall_ms() / 1000));
    return 1;
}

static int util_monotonic(lua_State *L)
{
    lua_pushnumber(L, (double)clock_us() / 1e6);
    return 1;
}

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int util_base64(lua_State *L)
{
    str s = arg(L, 1);
    bool url = lua_toboolean(L, 2);
    char *out = lua_newuserdata(L, (s.n + 2) / 3 * 4 + 1), *o = out;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        v |= left > 1 ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            char c = b64[(v >> (18 - 6 * k)) & 63];
            if (k > left) {
                if (!url) {
                    *o++ = '=';
                }
            } else {
                *o++ = url && c == '+' ? '-' : url && c == '/' ? '_' : c;
            }
        }
    }
    lua_pushlstring(L, out, (size_t)(o - out));
    return 1;
}

static int digit_of(char c)
{
    if (c == '-') {
        c = '+';
    } else if (c == '_') {
        c = '/';
    }
    const char *at = c ? strchr(b64, c) : NULL;
    return at ? (int)(at - b64) : -1;
}

/* Both alphabets, padding optional (RFC 4648 §4, §5). */
static int util_unbase64(lua_State *L)
{
    str s = arg(L, 1);
    while (s.n && s.p[s.n - 1] == '=') {
        s.n--;
    }
    char *out = lua_newuserdata(L, s.n + 1), *o = out;
    uint32_t v = 0;
    int bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = digit_of(s.p[i]);
        if (d < 0 || s.n % 4 == 1) {
            lua_pushnil(L);
            return 1;
        }
        v = (v << 6) | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *o++ = (char)(v >> bits);
        }
    }
    lua_pushlstring(L, out, (size_t)(o - out));
    return 1;
}

static int through_pool(lua_State *L, str (*fn)(str, pool *))
{
    pool p;
    pool_init(&p, 1024);
    vm_push(L, fn(arg(L, 1), &p));
    pool_fini(&p);
    return 1;
}

static str decode(str s, pool *p)
{
    return uri_decode(s, false, p);
}

static int util_escape(lua_State *L)
{
    return through_pool(L, uri_encode_component);
}

static int util_unescape(lua_State *L)
{
    return through_pool(L, decode);
}

/* core.log(level, text): the line names request and policy. */
static int util_log(lua_State *L)
{
    static const char *const names[] = {"debug", "info",  "notice", "warn", "error",
                                        "crit",  "alert", "emerg",  NULL};
    enum log_level level = (enum log_level)luaL_checkoption(L, 1, "info", names);
    if (level < log_level_now()) {
        return 0;
    }
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);
    char line[LOG_LINE_MAX];
    fmt f = fmt_of(line, sizeof line);
    fmt_json(&f, str_of(text, n < LOG_LINE_MAX / 2
                                  ? n
                                  : LOG_LINE_MAX / 2)); /* control bytes cannot forge lines */
    const task *t = task_current;
    const board_policy *who = !t ? NULL : t->list ? &t->list->v[t->at].shown : &t->shown;
    log_write(level, "script: req=%llx policy=%.*s %.*s",
              t && t->r ? (unsigned long long)t->r->id : 0ULL,
              who ? (int)strnlen(who->name, sizeof who->name) : 1, who ? who->name : "-",
              STR_ARG(fmt_str(&f)));
    return 0;
}

static const struct api_fn rows[] = {
    {"hash", util_hash, API_ANY, "(text: string, seed?: integer): integer",
     "stable hash, 52 bits: hash(id) % 100"},
    {"crc32c", util_crc32c, API_ANY, "(text: string): integer", "CRC-32C"},
    {"digest", util_digest, API_ANY, "(name: string, text: string, raw?: boolean): string",
     "\"sha256\", \"md5\"…, in hex unless raw"},
    {"hmac", util_hmac, API_ANY, "(name: string, key: string, text: string, raw?: boolean): string",
     "keyed digest, in hex unless raw"},
    {"equal", util_equal, API_ANY, "(a: string, b: string): boolean",
     "compares secrets in constant time"},
    {"uuid", util_uuid, API_ANY, "(): string", "random UUID (version 4)"},
    {"random", util_random, API_ANY, "(n?: integer): number",
     "1 to n, or 0 ≤ x < 1; not for secrets"},
    {"random_bytes", util_random_bytes, API_ANY, "(n: integer): string", "bytes for secrets"},
    {"now", util_now, API_ANY, "(): number",
     "wall clock in seconds with milliseconds, as of this turn of the loop"},
    {"time", util_time, API_ANY, "(): integer", "wall clock in whole seconds"},
    {"monotonic", util_monotonic, API_ANY, "(): number", "seconds that never jump"},
    {"base64", util_base64, API_ANY, "(bytes: string, url?: boolean): string",
     "encodes; url: the URL alphabet without padding"},
    {"unbase64", util_unbase64, API_ANY, "(text: string): string|nil",
     "decodes both alphabets; nil when malformed"},
    {"escape", util_escape, API_ANY, "(text: string): string", "percent-encodes one component"},
    {"unescape", util_unescape, API_ANY, "(text: string): string", "decodes percent escapes"},
    {"log", util_log, API_ANY, "(level: string, text: string)", "a line of the error log"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_util = {"util", rows, NULL};
