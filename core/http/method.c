/* method.c — the methods of RFC 9110 §9.3 and PATCH (RFC 5789). */
#include "http/method.h"

static const str names[METHOD_COUNT] = {
    [METHOD_OTHER] = {"", 0},          [METHOD_GET] = {"GET", 3},
    [METHOD_HEAD] = {"HEAD", 4},       [METHOD_POST] = {"POST", 4},
    [METHOD_PUT] = {"PUT", 3},         [METHOD_DELETE] = {"DELETE", 6},
    [METHOD_OPTIONS] = {"OPTIONS", 7}, [METHOD_PATCH] = {"PATCH", 5},
    [METHOD_TRACE] = {"TRACE", 5},     [METHOD_CONNECT] = {"CONNECT", 7},
};

enum method method_find(str name)
{
    for (int m = METHOD_GET; m < METHOD_COUNT; m++) {
        if (names[m].n == name.n && names[m].p[0] == name.p[0] && str_eq(names[m], name)) {
            return (enum method)m;
        }
    }
    return METHOD_OTHER;
}

str method_name(enum method m)
{
    return names[m];
}

bool method_is_safe(enum method m)
{
    return m == METHOD_GET || m == METHOD_HEAD || m == METHOD_OPTIONS || m == METHOD_TRACE;
}

bool method_is_idempotent(enum method m)
{
    return method_is_safe(m) || m == METHOD_PUT || m == METHOD_DELETE;
}
