/* date.h — IMF-fixdate (RFC 9110 §5.6.7), formatted once per second, and the three forms parsed. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include "base/str.h"

/* Cached text of the current second ("Sun, 06 Nov 1994 08:49:37 GMT"); valid until the next call in a later second. */
str date_now(void);
/* Writes 29 bytes. */
void date_format(int64_t epoch_s, char out[32]);
/* 0 or ERR_INVALID. */
MUST_USE int date_parse(str s, int64_t *epoch_s);

#endif
