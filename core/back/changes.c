/* changes.c — see changes.h. */
#include "back/changes.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

static const char changes_head[] = "# moongate upstreams 1";

static const char *const state_names[] = {"-", "up", "down", "drain"};

const char *change_state_name(enum change_state s)
{
    return state_names[s];
}

static char *copy(str s)
{
    char *z = strndup(s.p, s.n);
    REQUIRE(z != NULL);
    return z;
}

static void change_fini(change *one)
{
    free(one->upstream);
    free(one->server);
}

void changes_fini(changes *c)
{
    for (uint32_t i = 0; i < c->all.n; i++) {
        change_fini(&c->all.v[i]);
    }
    vec_fini(&c->all);
}

change *changes_find(const changes *c, str upstream, str server)
{
    for (uint32_t i = 0; i < c->all.n; i++) {
        change *one = &c->all.v[i];
        if (str_eq(str_c(one->upstream), upstream) && str_eq(str_c(one->server), server)) {
            return one;
        }
    }
    return NULL;
}

change *changes_put(changes *c, str upstream, str server)
{
    if (c->all.n >= CHANGES_MAX) {
        return NULL;
    }
    change one = {.upstream = copy(upstream), .server = copy(server)};
    vec_push(&c->all, one);
    return &c->all.v[c->all.n - 1];
}

void changes_remove(changes *c, change *one)
{
    change_fini(one);
    size_t after = (size_t)(c->all.v + c->all.n - (one + 1));
    memmove(one, one + 1, after * sizeof *one);
    c->all.n--;
}

bool change_is_empty(const change *one)
{
    return !one->added && one->state == CHANGE_NONE && !one->weight;
}

uint32_t changes_count_added(const changes *c, str upstream)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->all.n; i++) {
        n += c->all.v[i].added && str_eq(str_c(c->all.v[i].upstream), upstream);
    }
    return n;
}

bool changes_is_word(str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f) {
            return false;
        }
    }
    return text.n > 0 && text.n <= CHANGE_TEXT_MAX;
}

/* A number between lo and hi of "key=number". */
static int parse_number(str word, str key, uint64_t lo, uint64_t hi, int *out, char *err, size_t cap)
{
    uint64_t v;
    str text = str_from(word, key.n);
    if (str_to_u64(text, &v) < 0 || v < lo || v > hi) {
        snprintf(err, cap, "%.*s\"%.*s\": it is a whole number from %llu to %llu", STR_ARG(key), STR_ARG(text), (unsigned long long)lo,
                 (unsigned long long)hi);
        return ERR_INVALID;
    }
    *out = (int)v;
    return 0;
}

int change_parse_word(change *one, str word, char *err, size_t cap)
{
    if (str_has_prefix(word, STR("weight="))) {
        return parse_number(word, STR("weight="), 1, CHANGE_WEIGHT_MAX, &one->weight, err, cap);
    }
    if (str_has_prefix(word, STR("max_conns="))) {
        return parse_number(word, STR("max_conns="), 0, INT32_MAX, &one->max_conns, err, cap);
    }
    if (str_eq(word, STR("backup"))) {
        one->backup = true;
        return 0;
    }
    for (int i = CHANGE_UP; i <= CHANGE_DRAIN; i++) {
        if (str_eq(word, str_c(state_names[i]))) {
            one->state = (enum change_state)i;
            return 0;
        }
    }
    snprintf(err, cap, "unknown word \"%.*s\"; known: weight=N, max_conns=N, backup, up, down, drain", STR_ARG(word));
    return ERR_INVALID;
}

/* ---- the text */

static int parse_line(changes *c, str line, char *err, size_t cap)
{
    str upstream, server, word;
    if (!str_split(&line, ' ', &upstream) || !str_split(&line, ' ', &server) || !changes_is_word(upstream) || !changes_is_word(server)) {
        snprintf(err, cap, "it is no upstream, server and change");
        return ERR_INVALID;
    }
    if (changes_find(c, upstream, server)) {
        snprintf(err, cap, "%.*s %.*s is there twice", STR_ARG(upstream), STR_ARG(server));
        return ERR_INVALID;
    }
    change *one = changes_put(c, upstream, server);
    if (!one) {
        snprintf(err, cap, "more than %d servers", CHANGES_MAX);
        return ERR_INVALID;
    }
    while (str_split(&line, ' ', &word)) {
        if (str_eq(word, STR("added"))) {
            one->added = true;
        } else if (change_parse_word(one, word, err, cap) < 0) {
            return ERR_INVALID;
        }
    }
    if (one->added && changes_count_added(c, upstream) > CHANGES_ADDED_MAX) {
        snprintf(err, cap, "more than %d servers added to %.*s", CHANGES_ADDED_MAX, STR_ARG(upstream));
        return ERR_INVALID;
    }
    return 0;
}

/* True: the last line, and it says what was read. */
static bool is_end(const changes *c, str line)
{
    uint64_t n;
    return str_has_prefix(line, STR("end ")) && str_to_u64(str_from(line, 4), &n) == 0 && n == c->all.n;
}

int changes_parse(str text, changes *out, char *err, size_t cap)
{
    *out = (changes){.all = {0}};
    str rest = text, line;
    int at = 0, rc = 0;
    bool ended = false;
    char why[200] = "something follows the end";
    while (rc == 0 && rest.n > 0) {
        size_t end = str_find(rest, '\n', 0);
        line = str_of(rest.p, end);
        rest = str_from(rest, end < rest.n ? end + 1 : rest.n);
        if (++at == 1) {
            rc = str_eq(line, str_c(changes_head)) ? 0 : ERR_INVALID;
            snprintf(why, sizeof why, "it does not begin with \"%s\"", changes_head);
        } else if (ended) {
            snprintf(why, sizeof why, "something follows the end");
            rc = ERR_INVALID;
        } else if (str_has_prefix(line, STR("end "))) {
            ended = is_end(out, line);
            snprintf(why, sizeof why, "it counts other servers than there are");
            rc = ended ? 0 : ERR_INVALID;
        } else {
            rc = parse_line(out, line, why, sizeof why);
        }
    }
    if (rc == 0 && !ended) {
        snprintf(why, sizeof why, "the end is missing");
        rc = ERR_INVALID;
    }
    if (rc < 0) {
        snprintf(err, cap, "line %d: %s", at, why);
        changes_fini(out);
    }
    return rc;
}

void changes_write(const changes *c, FILE *f)
{
    fprintf(f, "%s\n", changes_head);
    for (uint32_t i = 0; i < c->all.n; i++) {
        const change *one = &c->all.v[i];
        fprintf(f, "%s %s", one->upstream, one->server);
        fputs(one->added ? " added" : "", f);
        if (one->weight) {
            fprintf(f, " weight=%d", one->weight);
        }
        if (one->max_conns) {
            fprintf(f, " max_conns=%d", one->max_conns);
        }
        fputs(one->backup ? " backup" : "", f);
        if (one->state != CHANGE_NONE) {
            fprintf(f, " %s", change_state_name(one->state));
        }
        fputc('\n', f);
    }
    fprintf(f, "end %u\n", c->all.n);
}
