/* regex.c — the only file that knows PCRE2.
 *
 * One match context, one match-data block and one JIT stack serve all patterns of the process:
 * matching is never nested. Limits hold for JIT and interpreter alike; a pattern that needs more is
 * a pattern to mend. */
#include "base/regex.h"

#include "base/check.h"
#include "base/err.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum {
    MATCH_LIMIT = 500000,
    DEPTH_LIMIT = 10000,
    HEAP_LIMIT_KIB = 4096,
    JIT_STACK_START = 32 * 1024,
    JIT_STACK_MAX = 512 * 1024,
};

struct regex {
    pcre2_code *code;
    int captures;   /* groups, without the whole match */
    uint32_t names; /* entries of the name table */
    uint32_t name_size;
    const unsigned char *name_table;
    char *prefix; /* literal start, NULL when there is none */
    size_t prefix_n;
};

static struct {
    pcre2_match_context *context;
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
} shared;

static void shared_setup(void)
{
    if (shared.context) {
        return;
    }
    shared.context = pcre2_match_context_create(NULL);
    shared.data = pcre2_match_data_create(REGEX_MAX_CAPTURES, NULL);
    shared.stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, NULL);
    if (!shared.context || !shared.data) {
        fatal("out of memory for regular expressions");
    }
    pcre2_set_match_limit(shared.context, MATCH_LIMIT);
    pcre2_set_depth_limit(shared.context, DEPTH_LIMIT);
    pcre2_set_heap_limit(shared.context, HEAP_LIMIT_KIB);
    if (shared.stack) { /* NULL where JIT is not built in */
        pcre2_jit_stack_assign(shared.context, NULL, shared.stack);
    }
}

static uint32_t pcre2_options(unsigned flags)
{
    static const struct {
        unsigned flag;
        uint32_t option;
    } table[] = {
        {REGEX_CASELESS, PCRE2_CASELESS},
        {REGEX_ANCHORED, PCRE2_ANCHORED},
        {REGEX_UTF, PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF},
        {REGEX_DOTALL, PCRE2_DOTALL},
        {REGEX_MULTILINE, PCRE2_MULTILINE},
        {REGEX_EXTENDED, PCRE2_EXTENDED},
        {REGEX_DUPNAMES, PCRE2_DUPNAMES},
        {REGEX_DOLLAR_ENDONLY, PCRE2_DOLLAR_ENDONLY},
    };
    uint32_t options = PCRE2_NEVER_BACKSLASH_C;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (flags & table[i].flag) {
            options |= table[i].option;
        }
    }
    return options;
}

/* Index just behind the class that opens at p[i] == '['; n when it does not close. */
static size_t skip_class(const char *p, size_t n, size_t i)
{
    i++;
    if (i < n && p[i] == '^') {
        i++;
    }
    if (i < n && p[i] == ']') { /* a "]" that comes first is a member */
        i++;
    }
    while (i < n && p[i] != ']') {
        if (p[i] == '\\') {
            i++;
        } else if (p[i] == '[' && i + 1 < n && strchr(":.=", p[i + 1])) {
            char kind = p[i + 1];
            size_t j = i + 2;
            while (j + 1 < n && !(p[j] == kind && p[j + 1] == ']') && p[j] != ']') {
                j++;
            }
            if (j + 1 < n && p[j] == kind) {
                i = j + 1; /* a POSIX class: over its "]" */
            }
        }
        i++;
    }
    return i < n ? i + 1 : n;
}

/* True when the pattern has an alternative outside all groups, or anything this scan does not know
 * for sure (quoting, extended syntax switched on inside): then no prefix is claimed. */
static bool has_open_alternative(const char *p, size_t n)
{
    int depth = 0;
    size_t i = 0;
    while (i < n) {
        switch (p[i]) {
        case '\\':
            if (i + 1 < n && p[i + 1] == 'Q') {
                return true;
            }
            i += 2;
            continue;
        case '[':
            i = skip_class(p, n, i);
            continue;
        case '(':
            depth++;
            if (i + 2 < n && p[i + 1] == '?' && p[i + 2] == '#') {
                return true;
            }
            for (size_t j = i + 2;
                 i + 1 < n && p[i + 1] == '?' && j < n && strchr("imsnxJU^-", p[j]); j++) {
                if (p[j] == 'x') {
                    return true;
                }
            }
            break;
        case ')':
            depth--;
            break;
        case '|':
            if (depth <= 0) {
                return true;
            }
            break;
        default:
            break;
        }
        i++;
    }
    return false;
}

/* Puts the literal bytes after ^ into out (≥ n bytes); returns their number. */
static size_t literal_start(const char *p, size_t n, char *out)
{
    size_t got = 0;
    size_t i = 0;
    while (i < n) {
        unsigned char c = (unsigned char)p[i];
        if (c == '\\') {
            /* an escaped letter or digit is a class, an assertion or a code: the literal part ends
             */
            if (i + 1 >= n || (unsigned char)p[i + 1] >= 0x80 ||
                strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
                       p[i + 1])) {
                return got;
            }
            c = (unsigned char)p[++i];
        } else if (strchr("^$.[]()|?*+{}", c) || c == 0) {
            return got;
        }
        i++;
        if (i < n && strchr("?*{", p[i]) && p[i]) {
            /* this character may be absent; bytes of one UTF-8 character go together */
            while (got > 0 && c >= 0x80 && (c & 0xc0) == 0x80) {
                c = (unsigned char)out[--got];
            }
            return got;
        }
        out[got++] = (char)c;
    }
    return got;
}

static void find_prefix(regex *re, str pattern, unsigned flags)
{
    uint32_t all = 0;
    pcre2_pattern_info(re->code, PCRE2_INFO_ALLOPTIONS, &all);
    bool plain = !(flags & (REGEX_CASELESS | REGEX_EXTENDED | REGEX_MULTILINE));
    if (!plain || !(all & PCRE2_ANCHORED) || pattern.n < 2 || pattern.p[0] != '^' ||
        has_open_alternative(pattern.p, pattern.n)) {
        return;
    }
    re->prefix = malloc(pattern.n);
    if (re->prefix) {
        re->prefix_n = literal_start(pattern.p + 1, pattern.n - 1, re->prefix);
    }
}

static void find_info(regex *re)
{
    uint32_t count = 0;
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &count);
    re->captures = (int)count;
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &re->names);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &re->name_size);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
}

regex *regex_new(str pattern, unsigned flags, char *errbuf, size_t errcap, size_t *err_at)
{
    shared_setup();
    int code = 0;
    PCRE2_SIZE at = 0;
    const char *text = pattern.n ? pattern.p : "";
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text, pattern.n, pcre2_options(flags), &code, &at, NULL);
    if (!compiled) {
        if (err_at) {
            *err_at = at;
        }
        if (errbuf && errcap > 0) {
            errbuf[0] = 0;
            pcre2_get_error_message(code, (PCRE2_UCHAR *)errbuf, errcap);
        }
        return NULL;
    }
    regex *re = calloc(1, sizeof *re);
    if (!re) {
        fatal("out of memory for a regular expression");
    }
    re->code = compiled;
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without JIT the interpreter does it */
    find_info(re);
    find_prefix(re, pattern, flags);
    return re;
}

void regex_free(regex *re)
{
    if (re) {
        pcre2_code_free(re->code);
        free(re->prefix);
        free(re);
    }
}

static int exec_error(int rc)
{
    switch (rc) {
    case PCRE2_ERROR_NOMATCH:
        return 0;
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_JIT_STACKLIMIT:
    case PCRE2_ERROR_NOMEMORY:
        return ERR_LIMIT;
    default:
        return ERR_INVALID;
    }
}

int regex_exec(const regex *re, str subject, size_t from, regex_match *m)
{
    if (from > subject.n || subject.n > INT32_MAX) {
        return ERR_INVALID;
    }
    const char *text = subject.n ? subject.p : "";
    int rc =
        pcre2_match(re->code, (PCRE2_SPTR)text, subject.n, from, 0, shared.data, shared.context);
    if (rc < 0) {
        return exec_error(rc);
    }
    if (!m) {
        return 1;
    }
    int set = rc == 0 ? REGEX_MAX_CAPTURES : rc; /* 0: more groups than pairs; the rest is lost */
    m->n = re->captures + 1 < REGEX_MAX_CAPTURES ? re->captures + 1 : REGEX_MAX_CAPTURES;
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(shared.data);
    for (int i = 0; i < 2 * m->n; i++) {
        bool unset = i >= 2 * set || ovector[i] == PCRE2_UNSET;
        m->at[i] = unset ? -1 : (int32_t)ovector[i];
    }
    return 1;
}

int regex_capture_count(const regex *re)
{
    return re->captures;
}

/* Entry i of the name table: two bytes of number, then the NUL-terminated name. */
static str name_entry(const regex *re, uint32_t i, int *number)
{
    const unsigned char *e = re->name_table + (size_t)i * re->name_size;
    *number = e[0] << 8 | e[1];
    return str_c((const char *)(e + 2));
}

int regex_name(const regex *re, str name)
{
    for (uint32_t i = 0; i < re->names; i++) {
        int number;
        if (str_eq(name_entry(re, i, &number), name)) {
            return number;
        }
    }
    return -1;
}

void regex_each_name(const regex *re, void (*fn)(str name, int number, void *arg), void *arg)
{
    for (uint32_t i = 0; i < re->names; i++) {
        int number;
        str name = name_entry(re, i, &number);
        fn(name, number, arg);
    }
}

str regex_literal_prefix(const regex *re)
{
    return re->prefix ? str_of(re->prefix, re->prefix_n) : STR_EMPTY;
}
