/* token.h — known field names as small integers, found by a perfect hash while parsing, so that everything after the parser
 * compares integers. TOKEN_NONE: a name that is not in token.def. */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include "base/str.h"

enum token {
    TOKEN_NONE = 0,
#define X(id, name, flags) TOKEN_##id,
#include "http/token.def"
#undef X
    TOKEN_COUNT
};

enum { TOKEN_FLAG_HOP = 1 };

/* Case-insensitive; TOKEN_NONE when unknown. token_setup() runs when the program is loaded (it is idempotent). */
enum token token_find(str name);
/* Lower case, as in token.def. */
str token_name(enum token t);
/* As usually written ("Content-Type", "ETag"): what fields made by the gateway are called on the wire. */
str token_wire_name(enum token t);
unsigned token_flags(enum token t);
/* X_Forwarded_For: CGI and its heirs make one variable of "_" and "-", so that a client could speak for a field that is ours to write.
 * Never passed on, whatever the limits say. */
bool token_is_lookalike(str name);
/* Known fields that may come late (RFC 9110 §6.5.1): none of them frames, routes, authenticates or describes the content. */
bool token_may_trail(enum token t);
void token_setup(void);

#endif
