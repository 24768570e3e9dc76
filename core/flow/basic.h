/* basic.h — user and password of an Authorization field (RFC 7617), as the client claims them. */
#ifndef FLOW_BASIC_H
#define FLOW_BASIC_H

#include "flow/req.h"

struct basic {
    str user, password;
};

/* False: the field is missing, of another scheme, or malformed. Views into r->pool. */
bool basic_read(req *r, struct basic *out);

#endif
