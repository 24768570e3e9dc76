/* status.h — reason phrases (RFC 9110 §15, IANA registry). */
#ifndef HTTP_STATUS_H
#define HTTP_STATUS_H

#include "base/str.h"

/* "Not Found"; empty for an unknown status. */
str status_reason(int status);
/* A response with this status has no body: 1xx, 204, 304 (RFC 9110 §6.4.1). */
bool status_has_no_body(int status);

#endif
