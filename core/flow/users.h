/* users.h — lines of htpasswd files: NAME:PASSWORD[:anything]; the first line of a name counts. */
#ifndef FLOW_USERS_H
#define FLOW_USERS_H

#include "base/pool.h"

typedef struct map map;

enum { USERS_FILE_MAX = 4 * 1024 * 1024 };

/* All of them, by name; values are NUL-terminated. */
const map *users_of(pool *p, str text);
/* The stored password of one name. ERR_NOT_FOUND. Views into text. */
MUST_USE int users_find(str text, str name, str *stored);
/* The file as it is now, into the pool: what an operator changes holds for the next request. ERR_NOT_FOUND: there is none; ERR_IO; ERR_LIMIT. */
MUST_USE int users_read(const char *path, pool *p, str *text);

#endif
