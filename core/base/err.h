/* err.h — the one error enum. Functions that can fail return 0 (or a count) or a negative ERR_*.
 * Codes travel, text does not: text is made at the log or at the response (flow/error.c). */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_index {
    ERR_INDEX_OK = 0,
#define X(name, status, text) ERR_INDEX_##name,
#include "base/err.def"
#undef X
    ERR_INDEX_COUNT
};

enum err {
    ERR_OK = 0,
#define X(name, status, text) ERR_##name = -(int)ERR_INDEX_##name,
#include "base/err.def"
#undef X
};

/* "TIMEOUT" for ERR_TIMEOUT, "OK" for >= 0, "UNKNOWN" for anything else. */
const char *err_name(int code);
/* The English text of err.def. */
const char *err_text(int code);
/* The HTTP status a request that ended in this code is answered with; 500 when the list says 0. */
int err_status(int code);
/* The ERR_* of an errno value; ERR_IO when nothing fits. */
int err_from_errno(int errnum);

#endif
