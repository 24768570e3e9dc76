/* uri.h — the request target, split once into components; router, policies, cache key and upstream see the same object.
 *
 * RFC 9112 §3.2 forms: origin, absolute (its authority replaces Host), asterisk (OPTIONS), authority (CONNECT). Refused: "#", raw controls and
 * spaces, bad % escapes in the path, a path that climbs above the root, %00. The normalised path is decoded, dot segments removed, slashes merged. */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/pool.h"
#include "http/method.h"

enum uri_form { URI_ORIGIN, URI_ABSOLUTE, URI_ASTERISK, URI_AUTHORITY };

typedef struct uri {
    uint8_t form;
    bool is_plain;   /* raw path == path: nothing to decode or merge */
    str scheme;      /* absolute form: lower case as sent; else empty */
    str authority;   /* absolute form: host[:port]; else empty */
    str raw;         /* path + ?query in origin form: what is forwarded untouched and $request_uri holds */
    str raw_path;
    str path;        /* normalised (decoded); a view of raw_path when is_plain */
    str query;       /* without "?"; .p == NULL when there is none ("?" alone: n == 0, p != NULL) */
} uri;

/* 0 or ERR_BAD_TARGET, ERR_BAD_PATH. `merge_slashes` as in nginx. */
MUST_USE int uri_parse(str target, enum method m, bool merge_slashes, pool *p, uri *out);
/* Host field or authority: splits, checks the grammar (name of unreserved characters, IPv4, [IPv6]); *host lower case (in the pool when it must change), *port
 * 0 when absent. 0 or ERR_BAD_HOST. A trailing dot is kept out of *host. */
MUST_USE int uri_host(str value, pool *p, str *host, uint16_t *port);
/* Percent-encodes what may not stand in a path (after normalisation), into the pool; the view itself when nothing must change. */
str uri_encode_path(str path, pool *p);
/* A whole target, query included: only what may not stand in a request line (controls, spaces, bytes above 0x7e) is encoded. */
str uri_encode_target(str target, pool *p);
/* One component (space → %20). */
str uri_encode_component(str s, pool *p);
/* Decodes %XX (and "+" to space when `form`); invalid escapes stay as they are. */
str uri_decode(str s, bool form, pool *p);
/* Iterates name=value pairs of a query, not decoded. */
bool uri_query_next(str *rest, str *name, str *value);
/* First value of `name` in the query, not decoded; false when absent. */
bool uri_query_get(str query, str name, str *value);

#endif
