/* json.h — writes JSON to a stream: commas by itself, strings escaped. For status pages; nothing on
 * a hot path. */
#ifndef PROC_JSON_H
#define PROC_JSON_H

#include "base/str.h"

#include <stdio.h>

typedef struct json {
    FILE *f;
    bool comma; /* a value was written in the open container */
} json;

/* `key` NULL: an element of an array (or the top). */
void json_open(json *j, const char *key, char bracket);
void json_close(json *j, char bracket);
void json_str(json *j, const char *key, str value);
void json_int(json *j, const char *key, int64_t value);
void json_bool(json *j, const char *key, bool value);
void json_null(json *j, const char *key);

#endif
