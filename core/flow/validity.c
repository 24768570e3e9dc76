/* validity.c — see validity.h. */
#include "flow/validity.h"

#include "flow/expires.h"
#include "flow/precondition.h"

int validity_apply(req *r)
{
    int rc = r->allows & REQ_ALLOWS_CONDITIONS ? precondition_check(r) : 0;
    return rc == 0 && r->route && r->route->expires ? expires_apply(r) : rc;
}
