/* dict.h — shared dictionary: string key → number, boolean, string or list, with 32 user flags, LRU
 * and expiry. The store behind mg.shared and ngx.shared; the semantics are those of ngx.shared.
 *
 * A `dict` is the shared structure itself, mapped: valid as long as the segment is. All times are
 * milliseconds of CLOCK_MONOTONIC (clock_ms()), which is comparable between processes; ttl_ms 0 =
 * no expiry. Expired entries stay readable for get_stale until the space is needed.
 *
 * A process killed inside an operation loses at most the entry it was changing (and the LRU order).
 */
#ifndef SHM_DICT_H
#define SHM_DICT_H

#include "base/str.h"

#include <stdbool.h>

typedef struct dict dict;
typedef struct seg seg;

enum dict_type { DICT_NIL, DICT_BOOLEAN, DICT_NUMBER, DICT_STRING, DICT_LIST };

enum {
    DICT_FORCED = 1,      /* stored, but unexpired entries were evicted to make room (`forcible`) */
    DICT_KEY_MAX = 65535, /* bytes; longer keys and empty ones: ERR_INVALID */
    DICT_MIN_SIZE = 16384, /* bytes of seg_data_size */
};

/* In: a value to store (`s` borrowed). Out: a value read; strings are copied to `buf`, which the
 * caller provides with its size before the call. */
typedef struct dict_value {
    enum dict_type type;
    uint32_t flags; /* the user's; lists have none */
    double num;     /* DICT_NUMBER */
    bool boolean;   /* DICT_BOOLEAN */
    bool stale;     /* out, dict_get_stale only: it had expired */
    str s;          /* DICT_STRING; after a read it points to buf */
    char *buf;      /* out: room for a string */
    size_t cap;     /* out: its size */
} dict_value;

/* Formats a blank segment or attaches to one that holds a dict. ERR_INVALID: too small, or not a
 * dict. */
MUST_USE int dict_open(seg *s, dict **out);

/* 0; ERR_NOT_FOUND (absent or expired); ERR_INVALID (a list, or a bad key); ERR_LIMIT: the string
 * needs v->s.n bytes and buf is smaller (v->s.p is NULL then). */
MUST_USE int dict_get(dict *d, str key, int64_t now_ms, dict_value *v);
/* Finds expired entries too and says so in v->stale. */
MUST_USE int dict_get_stale(dict *d, str key, int64_t now_ms, dict_value *v);

/* Stores; DICT_NIL deletes. 0 or DICT_FORCED; ERR_MEM (larger than the dict can ever hold or make
 * room for), ERR_INVALID (key, or a list). */
MUST_USE int dict_set(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms);
/* Never evicts an unexpired entry: ERR_MEM instead. */
MUST_USE int dict_safe_set(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms);
/* As set, but ERR_EXISTS when an unexpired entry is there. */
MUST_USE int dict_add(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms);
MUST_USE int dict_safe_add(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms);
/* As set, but ERR_NOT_FOUND when no unexpired entry is there. */
MUST_USE int dict_replace(dict *d, str key, const dict_value *v, int64_t ttl_ms, int64_t now_ms);
/* Absent keys are no error. */
void dict_delete(dict *d, str key);

/* Adds to a number. 0; ERR_NOT_FOUND; ERR_INVALID (not a number, or a bad key). Keeps expiry and
 * flags. */
MUST_USE int dict_incr(dict *d, str key, double by, int64_t now_ms, double *out);
/* For an absent or expired key: store init + by, expiring after ttl_ms. */
typedef struct dict_incr_init {
    double by;
    double init;
    int64_t ttl_ms; /* for a new entry only */
} dict_incr_init;
/* Also DICT_FORCED and ERR_MEM. */
MUST_USE int dict_incr_or_init(dict *d, str key, const dict_incr_init *how, int64_t now_ms,
                               double *out);

/* New ttl from now on; 0 = for ever. 0 or ERR_NOT_FOUND. */
MUST_USE int dict_expire(dict *d, str key, int64_t ttl_ms, int64_t now_ms);
/* 0 or ERR_NOT_FOUND; *ttl_ms remaining, 0 = never expires. */
MUST_USE int dict_ttl(dict *d, str key, int64_t now_ms, int64_t *ttl_ms);

/* Lists of strings and numbers. Push returns the new length, never evicts: ERR_MEM; ERR_INVALID:
 * holds something else, or v is neither string nor number. */
MUST_USE int dict_lpush(dict *d, str key, const dict_value *v, int64_t now_ms);
MUST_USE int dict_rpush(dict *d, str key, const dict_value *v, int64_t now_ms);
/* 0, ERR_NOT_FOUND (absent; lists are never empty), ERR_INVALID (not a list), ERR_LIMIT as dict_get
 * (nothing popped). */
MUST_USE int dict_lpop(dict *d, str key, int64_t now_ms, dict_value *v);
MUST_USE int dict_rpop(dict *d, str key, int64_t now_ms, dict_value *v);
/* Length, 0 when absent; ERR_INVALID. */
MUST_USE int dict_llen(dict *d, str key, int64_t now_ms);

/* Expires everything at once (get_stale still sees it). */
void dict_flush_all(dict *d);
/* Frees at most `max` expired entries (0 = all), returns how many. */
uint32_t dict_flush_expired(dict *d, uint32_t max, int64_t now_ms);

/* Keys, packed into the caller's buffer as length (2 bytes, native order) and bytes. */
typedef struct dict_keys {
    char *buf;
    size_t cap;
    size_t used; /* out: bytes written */
    size_t need; /* out: bytes that `max` keys take; > cap: call again with more room */
    uint32_t n;  /* out: keys written */
} dict_keys;
/* At most `max` unexpired keys (0 = all), most recently used first. Holds the lock meanwhile. */
void dict_get_keys(dict *d, uint32_t max, int64_t now_ms, dict_keys *keys);
/* Walks what dict_get_keys wrote; start with *at = 0; false at the end. */
bool dict_keys_next(const dict_keys *keys, size_t *at, str *key);

/* Bytes of the whole segment, and bytes free for entries. */
size_t dict_capacity(const dict *d);
size_t dict_free_space(dict *d);

/* For status pages. */
typedef struct dict_status {
    uint64_t entries;
    uint64_t evicted; /* unexpired entries pushed out since the start */
    uint64_t expired; /* reaped after their time */
    uint32_t repairs; /* owners that died inside */
} dict_status;
void dict_get_status(dict *d, dict_status *out);

#endif
