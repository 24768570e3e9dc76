/* json.c — see json.h. */
#include "proc/json.h"

#include "base/fmt.h"

#include <stdlib.h>

static void json_text(json *j, str s)
{
    size_t cap = s.n * 6 + 1; /* \u00XX for each byte at worst */
    char *buf = malloc(cap);
    if (buf) {
        fmt f = fmt_of(buf, cap);
        fmt_json(&f, s);
        fputc('"', j->f);
        fwrite(f.base, 1, (size_t)(f.p - f.base), j->f);
        fputc('"', j->f);
        free(buf);
    }
}

static void json_begin(json *j, const char *key)
{
    if (j->comma) {
        fputc(',', j->f);
    }
    j->comma = true;
    if (key) {
        json_text(j, str_c(key));
        fputc(':', j->f);
    }
}

void json_open(json *j, const char *key, char bracket)
{
    json_begin(j, key);
    fputc(bracket, j->f);
    j->comma = false;
}

void json_close(json *j, char bracket)
{
    fputc(bracket, j->f);
    j->comma = true;
}

void json_str(json *j, const char *key, str value)
{
    json_begin(j, key);
    json_text(j, value);
}

void json_int(json *j, const char *key, int64_t value)
{
    json_begin(j, key);
    fprintf(j->f, "%lld", (long long)value);
}

void json_bool(json *j, const char *key, bool value)
{
    json_begin(j, key);
    fputs(value ? "true" : "false", j->f);
}

void json_null(json *j, const char *key)
{
    json_begin(j, key);
    fputs("null", j->f);
}
