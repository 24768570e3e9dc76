/* verify.h — is this the password? Hashes that are slow on purpose are computed on a thread beside the loop while the request waits. What was found
 * right is remembered for a minute, by a keyed hash of user, password and stored line, so that a browser's next requests cost one HMAC. */
#ifndef FLOW_VERIFY_H
#define FLOW_VERIFY_H

#include "flow/basic.h"

/* 0: it is. ERR_NOT_FOUND: it is not. ERR_INVALID: the stored line is of no known kind. ERR_LIMIT, ERR_MEM, ERR_TIMEOUT: too much to do now. ERR_AGAIN:
 * r->wait is set, ask again. */
MUST_USE int verify_password(req *r, const struct basic *b, str stored);

#endif
