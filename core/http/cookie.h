/* cookie.h — reading Cookie fields (RFC 6265 §5.4): values by name without copying. */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include "http/headers.h"

/* First cookie of this name over all Cookie fields; false when absent. */
bool cookie_get(const headers *h, str name, str *value);
/* The same as nginx reads them: the name in any case, quotes stay around the value. */
bool cookie_get_raw(const headers *h, str name, str *value);
/* Next pair of one Cookie value. */
bool cookie_next(str *rest, str *name, str *value);

#endif
