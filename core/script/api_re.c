/* api_re.c — compiled regular expressions (PCRE2, with match limits); lua/moongate/re.lua makes
 * mg.re of them. */
#include "script/api.h"

#include "base/err.h"
#include "base/regex.h"

static const char TYPE[] = "regex";

struct re {
    struct api_head head;
    regex *re;
};

static unsigned flags_arg(lua_State *L, int idx)
{
    unsigned flags = 0;
    for (const char *f = luaL_optstring(L, idx, ""); *f; f++) {
        switch (*f) {
        case 'i':
            flags |= REGEX_CASELESS;
            break;
        case 'a':
            flags |= REGEX_ANCHORED;
            break;
        case 'u':
            flags |= REGEX_UTF;
            break;
        case 's':
            flags |= REGEX_DOTALL;
            break;
        case 'm':
            flags |= REGEX_MULTILINE;
            break;
        case 'x':
            flags |= REGEX_EXTENDED;
            break;
        case 'D':
            flags |= REGEX_DOLLAR_ENDONLY;
            break;
        case 'J':
            flags |= REGEX_DUPNAMES;
            break;
        case 'j':
        case 'o':
        case 'd':
        case 'U':
            break; /* OpenResty's: always compiled once, always JIT */
        default:
            luaL_error(L, "unknown regex flag '%c' (valid: i a u s m x D J)", *f);
        }
    }
    return flags;
}

/* core.regex(pattern, flags): the object, or nil and why. */
static int compile(lua_State *L)
{
    size_t n, at = 0;
    const char *pattern = luaL_checklstring(L, 1, &n);
    unsigned flags = flags_arg(L, 2);
    char err[160] = "";
    struct re *o = api_new(L, TYPE, sizeof *o);
    o->re = regex_new(str_of(pattern, n), flags, err, sizeof err, &at);
    if (!o->re) {
        lua_pushnil(L);
        lua_pushfstring(L, "bad regular expression at byte %d: %s", (int)at + 1, err);
        return 2;
    }
    return 1;
}

static const regex *self(lua_State *L)
{
    struct re *o = api_check(L, 1, TYPE, sizeof *o);
    return o->re;
}

/* Position to begin at, from 1. */
static size_t from_arg(lua_State *L, int idx, size_t n)
{
    lua_Number from = luaL_optnumber(L, idx, 1);
    return from < 1 ? 0 : from > (lua_Number)n + 1 ? n + 1 : (size_t)from - 1;
}

static int failed(lua_State *L, int rc)
{
    lua_pushnil(L);
    if (rc == 0) {
        return 1;
    }
    lua_pushstring(L, rc == ERR_LIMIT ? "the pattern needs too many steps on this text"
                                      : err_text(rc));
    return 2;
}

static int exec(lua_State *L, regex_match *m, str *subject)
{
    size_t n;
    subject->p = luaL_checklstring(L, 2, &n);
    subject->n = n;
    size_t from = from_arg(L, 3, n);
    return from > n ? 0 : regex_exec(self(L), *subject, from, m);
}

static int re_test(lua_State *L)
{
    regex_match m;
    str subject;
    int rc = exec(L, &m, &subject);
    lua_pushboolean(L, rc > 0);
    return 1;
}

/* from, to and the captures' positions: 1-based, inclusive; unset ones are false, false. */
static int re_find(lua_State *L)
{
    regex_match m;
    str subject;
    int rc = exec(L, &m, &subject);
    if (rc <= 0) {
        return failed(L, rc);
    }
    luaL_checkstack(L, 2 * m.n, "too many captures");
    for (int i = 0; i < m.n; i++) {
        if (m.at[2 * i] < 0) {
            lua_pushboolean(L, false);
            lua_pushboolean(L, false);
        } else {
            lua_pushinteger(L, m.at[2 * i] + 1);
            lua_pushinteger(L, m.at[2 * i + 1]);
        }
    }
    return 2 * m.n;
}

struct names {
    lua_State *L;
    const regex_match *m;
    str subject;
};

static void push_capture(lua_State *L, const regex_match *m, str subject, int i)
{
    if (i < m->n && m->at[2 * i] >= 0) {
        lua_pushlstring(L, subject.p + m->at[2 * i], (size_t)(m->at[2 * i + 1] - m->at[2 * i]));
    } else {
        lua_pushboolean(L, false);
    }
}

static void add_name(str name, int number, void *arg)
{
    struct names *n = arg;
    vm_push(n->L, name);
    push_capture(n->L, n->m, n->subject, number);
    lua_rawset(n->L, -3);
}

/* { [0] = whole, "first", …, name = … }; unset captures are false. */
static int re_match(lua_State *L)
{
    regex_match m;
    str subject;
    int rc = exec(L, &m, &subject);
    if (rc <= 0) {
        return failed(L, rc);
    }
    int count = regex_capture_count(self(L)) + 1;
    lua_createtable(L, count, 1);
    for (int i = 0; i < count; i++) {
        push_capture(L, &m, subject, i);
        lua_rawseti(L, -2, i);
    }
    struct names n = {L, &m, subject};
    regex_each_name(self(L), add_name, &n);
    return 1;
}

static int re_gc(lua_State *L)
{
    struct re *o = lua_touserdata(L, 1);
    if (o && o->re) {
        regex_free(o->re);
        o->re = NULL;
    }
    return 0;
}

static const struct api_fn rows[] = {
    {"test", re_test, API_ANY, "(text: string, from?: integer): boolean", "does it match?"},
    {"find", re_find, API_ANY,
     "(text: string, from?: integer): integer|nil, integer|string|nil, ...",
     "first and last position of the match and of each capture"},
    {"match", re_match, API_ANY,
     "(text: string, from?: integer): table<integer|string, string|false>|nil, string|nil",
     "captures: [0] the whole, 1…, by name too"},
    {NULL, NULL, 0, NULL, NULL},
};

const struct api_table api_re = {"regex", rows, NULL};

void api_re_open(script *s, lua_State *L)
{
    (void)s;
    api_type(L, TYPE, &api_re);
    lua_pushcfunction(L, re_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, compile);
    lua_setfield(L, -2, "regex");
}
