/* regex.h — PCRE2: compiled once with JIT, matched with limits (match and depth), so that a pattern from a
 * policy cannot hold a worker: RE_LIMIT instead of an endless match. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include "base/str.h"

typedef struct regex regex;

enum { REGEX_CASELESS = 1, REGEX_ANCHORED = 2, REGEX_UTF = 4, REGEX_DOTALL = 8, REGEX_MULTILINE = 16, REGEX_EXTENDED = 32, REGEX_DUPNAMES = 64, REGEX_DOLLAR_ENDONLY = 128 };
enum { REGEX_MAX_CAPTURES = 64 };

typedef struct regex_match {
    int n;                                /* captures incl. the whole match */
    int32_t at[2 * REGEX_MAX_CAPTURES];   /* start, end; -1 when unset */
} regex_match;

/* NULL and *err_at/err (a static or `errbuf` text) when the pattern is bad. */
MUST_USE regex *regex_new(str pattern, unsigned flags, char *errbuf, size_t errcap, size_t *err_at);
void regex_free(regex *re);
/* 1 match, 0 no match, ERR_LIMIT, ERR_INVALID. `m` may be NULL. */
MUST_USE int regex_exec(const regex *re, str subject, size_t from, regex_match *m);
int regex_capture_count(const regex *re);
/* Number of the named group, or -1. */
int regex_name(const regex *re, str name);
/* Named groups: calls fn(name, number) for each. */
void regex_each_name(const regex *re, void (*fn)(str name, int number, void *arg), void *arg);
/* The literal bytes every match must start with when the pattern is anchored by ^; empty when there are none. */
str regex_literal_prefix(const regex *re);

#endif
