/* token.c — the perfect hash over token.def.
 *
 * The key of a name is its first two and its last two bytes, folded, and its length; the multiplier that
 * spreads all known keys over SLOTS without a collision is searched when the process starts (some hundred
 * tries, well under a millisecond), so appending to token.def needs no generator. A lookup is one multiply
 * and one comparison of 32 bytes: input | fold == name, where `fold` is 0x20 under letters and 0 elsewhere,
 * so that no other byte passes for a letter or a dash. */
#include "http/token.h"

#include "base/check.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { HOP = TOKEN_FLAG_HOP };
enum { NAME_MAX_BYTES = TOKEN_WIDE, SLOT_BITS = 10, SLOTS = 1 << SLOT_BITS, TRIES = 1000000 };

typedef struct entry {
    char name[NAME_MAX_BYTES]; /* lower case, padded with NUL */
    char fold[NAME_MAX_BYTES];
    char wire[NAME_MAX_BYTES]; /* as usually written: Content-Type */
    uint8_t n;
    uint8_t flags;
} entry;

static struct {
    uint32_t multiplier; /* 0: not set up */
    uint8_t slots[SLOTS];
    entry v[TOKEN_COUNT];
} table;

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

/* n >= 2 */
static inline uint32_t key_of(const char *p, size_t n)
{
    uint16_t first, last;
    memcpy(&first, p, 2);
    memcpy(&last, p + n - 2, 2);
    return (((uint32_t)first | (uint32_t)last << 16) | 0x20202020u) + (uint32_t)n * 0x01000193u;
}

static inline uint32_t slot_of(uint32_t key, uint32_t multiplier)
{
    return (key * multiplier) >> (32 - SLOT_BITS);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Names whose usual spelling is not "Each-Word-Capital". */
static void spell(entry *e, enum token t)
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
    memset(table.slots, 0, sizeof table.slots);
    for (int t = 1; t < TOKEN_COUNT; t++) {
        uint8_t *slot = &table.slots[slot_of(key_of(table.v[t].name, table.v[t].n), multiplier)];
        if (*slot) {
            return false;
        }
        *slot = (uint8_t)t;
    }
    return true;
}

/* Runs before main, so that no caller has to think of it; token_setup remains for those who want to be sure. */
__attribute__((constructor)) void token_setup(void)
{
    if (table.multiplier) {
        return;
    }
    for (int t = 1; t < TOKEN_COUNT; t++) {
        entry *e = &table.v[t];
        size_t n = strlen(defs[t].name);
        REQUIRE(n >= 2 && n < NAME_MAX_BYTES);
        memcpy(e->name, defs[t].name, n);
        e->n = (uint8_t)n;
        e->flags = (uint8_t)defs[t].flags;
        for (size_t i = 0; i < n; i++) {
            e->fold[i] = is_letter(e->name[i]) ? 0x20 : 0;
        }
        spell(e, (enum token)t);
    }
    uint32_t multiplier = 0x9e3779b1u;
    for (int i = 0; i < TRIES; i++, multiplier += 0x61c88646u) {
        if (try_multiplier(multiplier | 1)) {
            table.multiplier = multiplier | 1;
            return;
        }
    }
    fatal("token.def: two names share length, first two and last two bytes");
}

enum token token_find_wide(const char *p, size_t n)
{
    if (UNLIKELY(n < 2 || n >= NAME_MAX_BYTES)) {
        return TOKEN_NONE;
    }
    unsigned t = table.slots[slot_of(key_of(p, n), table.multiplier)];
    const entry *e = &table.v[t];
    if (e->n != n) {
        return TOKEN_NONE;
    }
#ifdef __SSE2__
    const __m128i_u *in = (const __m128i_u *)p;
    const __m128i_u *name = (const __m128i_u *)e->name;
    const __m128i_u *fold = (const __m128i_u *)e->fold;
    __m128i low = _mm_cmpeq_epi8(_mm_or_si128(_mm_loadu_si128(in), _mm_loadu_si128(fold)),
                                 _mm_loadu_si128(name));
    uint32_t same = (uint32_t)_mm_movemask_epi8(low);
    if (n > 16) {
        __m128i high = _mm_cmpeq_epi8(
            _mm_or_si128(_mm_loadu_si128(in + 1), _mm_loadu_si128(fold + 1)), _mm_loadu_si128(name + 1));
        same |= (uint32_t)_mm_movemask_epi8(high) << 16;
    }
    uint32_t want = (1u << n) - 1; /* n < 32 */
    return (same & want) == want ? (enum token)t : TOKEN_NONE;
#else
    for (size_t i = 0; i < n; i++) {
        if ((p[i] | e->fold[i]) != e->name[i]) {
            return TOKEN_NONE;
        }
    }
    return (enum token)t;
#endif
}

enum token token_find(str name)
{
    if (name.n < 2 || name.n >= NAME_MAX_BYTES) {
        return TOKEN_NONE;
    }
    char wide[NAME_MAX_BYTES] = {0};
    memcpy(wide, name.p, name.n);
    return token_find_wide(wide, name.n);
}

str token_name(enum token t)
{
    return str_of(table.v[t].name, table.v[t].n);
}

str token_wire_name(enum token t)
{
    return str_of(table.v[t].wire, table.v[t].n);
}

unsigned token_flags(enum token t)
{
    return table.v[t].flags;
}
