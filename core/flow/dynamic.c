/* dynamic.c — see dynamic.h. */
#include "flow/dynamic.h"

#include "back/dynamic.h"
#include "flow/plan.h"
#include "flow/req.h"

static void let_go(void *arg)
{
    group_unref(arg);
}

int dynamic_upstream(req *r, str address, uint16_t port)
{
    group *like = r->route->group, *g;
    struct dynamic_args a = {
        .like = like,
        .address = address,
        .port = port,
        .names = r->route->names,
        .configured = true,
    };
    int rc = group_set_dynamic(like->set, &a, &g);
    if (rc == 0) {
        pool_on_fini(&r->pool, let_go, g);
        r->group = g;
    }
    return rc;
}
