/* method.h — request methods as integers. METHOD_OTHER: any token that is not listed; its name is in the message. */
#ifndef HTTP_METHOD_H
#define HTTP_METHOD_H

#include "base/str.h"

enum method { METHOD_OTHER, METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_OPTIONS, METHOD_PATCH, METHOD_TRACE, METHOD_CONNECT, METHOD_COUNT };

enum method method_find(str name); /* case-sensitive, RFC 9110 §9.1 */
str method_name(enum method m);
bool method_is_safe(enum method m);       /* RFC 9110 §9.2.1 */
bool method_is_idempotent(enum method m); /* RFC 9110 §9.2.2; OTHER is not */

#endif
