/* token.c — the perfect hash over token.def.
 *
 * The key of a name is its first two and its last two bytes, folded, and its length; the multiplier
 * that spreads all known keys over the slots without a collision is searched when the process
 * starts (some hundred tries, well under a millisecond), so appending to token.def needs no
 * generator. A lookup is one multiply and one comparison of up to 32 bytes: input | fold == name,
 * where `fold` is 0x20 under letters and 0 elsewhere, so that no other byte passes for a letter or
 * a dash. */
#include "http/token.h"

#include "base/check.h"
#include "http/token_wide.h"

enum { HOP = TOKEN_FLAG_HOP };
enum { NAME_MAX_BYTES = TOKEN_WIDE, TRIES = 1000000 };

struct token_table token_table;

static const struct {
    const char *name;
    unsigned flags;
} defs[TOKEN_COUNT] = {
    [TOKEN_NONE] = {"", 0},
#define X(id, name, flags) [TOKEN_##id] = {name, flags},
#include "http/token.def"
#undef X
};

_Static_assert(TOKEN_COUNT <= 128, "headers.seen has two words");

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Names whose usual spelling is not "Each-Word-Capital". */
static void spell(token_entry *e, enum token t)
{
    for (size_t i = 0; i < e->n; i++) {
        bool starts = i == 0 || e->name[i - 1] == '-';
        e->wire[i] = starts && is_letter(e->name[i]) ? (char)(e->name[i] - 0x20) : e->name[i];
    }
    const char *odd = NULL;
    switch ((int)t) {
    case TOKEN_ETAG:
        odd = "ETag";
        break;
    case TOKEN_TE:
        odd = "TE";
        break;
    case TOKEN_WWW_AUTHENTICATE:
        odd = "WWW-Authenticate";
        break;
    case TOKEN_HTTP2_SETTINGS:
        odd = "HTTP2-Settings";
        break;
    case TOKEN_SEC_WEBSOCKET_KEY:
    case TOKEN_SEC_WEBSOCKET_ACCEPT:
    case TOKEN_SEC_WEBSOCKET_VERSION:
    case TOKEN_SEC_WEBSOCKET_PROTOCOL:
        odd = "Sec-WebSocket";
        break;
    case TOKEN_X_REAL_IP:
        odd = "X-Real-IP";
        break;
    default:
        return;
    }
    memcpy(e->wire, odd, strlen(odd));
}

static bool try_multiplier(uint32_t multiplier)
{
    memset(token_table.slots, 0, sizeof token_table.slots);
    for (int t = 1; t < TOKEN_COUNT; t++) {
        uint8_t *slot =
            &token_table.slots[token_slot(token_table.v[t].name, token_table.v[t].n, multiplier)];
        if (*slot) {
            return false;
        }
        *slot = (uint8_t)t;
    }
    return true;
}

/* Runs before main, so that no caller has to think of it; token_setup remains for those who want to
 * be sure. */
__attribute__((constructor)) void token_setup(void)
{
    if (token_table.multiplier) {
        return;
    }
    for (int t = 1; t < TOKEN_COUNT; t++) {
        token_entry *e = &token_table.v[t];
        size_t n = strlen(defs[t].name);
        REQUIRE(n >= 2 && n < NAME_MAX_BYTES);
        memcpy(e->name, defs[t].name, n);
        e->name[n] = ':';
        e->n = (uint32_t)n;
        e->mask = (uint32_t)(((uint64_t)2 << n) - 1);
        e->flags = (uint8_t)defs[t].flags;
        for (size_t i = 0; i < n; i++) {
            e->fold[i] = is_letter(e->name[i]) ? 0x20 : 0;
        }
        spell(e, (enum token)t);
    }
    uint32_t multiplier = 0x9e3779b1u;
    for (int i = 0; i < TRIES; i++, multiplier += 0x61c88646u) {
        if (try_multiplier(multiplier | 1)) {
            token_table.multiplier = multiplier | 1;
            return;
        }
    }
    fatal("token.def: two names share length, first two and last two bytes");
}

enum token token_find(str name)
{
    if (name.n < 2 || name.n >= NAME_MAX_BYTES) {
        return TOKEN_NONE;
    }
    char wide[NAME_MAX_BYTES] = {0};
    memcpy(wide, name.p, name.n);
    wide[name.n] = ':';
    return token_find_wide(wide, name.n);
}

str token_name(enum token t)
{
    return str_of(token_table.v[t].name, token_table.v[t].n);
}

str token_wire_name(enum token t)
{
    return str_of(token_table.v[t].wire, token_table.v[t].n);
}

unsigned token_flags(enum token t)
{
    return token_table.v[t].flags;
}

bool token_is_lookalike(str name)
{
    char dashed[TOKEN_WIDE];
    if (name.n >= sizeof dashed) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        dashed[i] = name.p[i] == '_' ? '-' : name.p[i];
    }
    return token_find(str_of(dashed, name.n)) != TOKEN_NONE;
}

bool token_may_trail(enum token t)
{
    return t == TOKEN_NONE || t == TOKEN_ETAG || t == TOKEN_GRPC_STATUS || t == TOKEN_LINK;
}
