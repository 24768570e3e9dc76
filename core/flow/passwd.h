/* passwd.h — is this the password of a line of an htpasswd file? A pure function, safe on any thread.
 *
 * {PLAIN}, {SHA}, {SSHA}, $apr1$ are done here; everything else is crypt(3)'s: DES, $1$, $2y$, $5$, $6$, $y$. */
#ifndef FLOW_PASSWD_H
#define FLOW_PASSWD_H

#include "base/str.h"

/* 0: it is; ERR_NOT_FOUND: it is not; ERR_INVALID: the stored value is of no kind that is known; ERR_LIMIT: it asks for more work than is done for anybody. */
MUST_USE int passwd_check(str stored, str given);
/* Does checking take long enough to belong on a thread? */
bool passwd_is_slow(str stored);

#endif
