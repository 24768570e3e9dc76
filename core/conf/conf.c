/* conf.c — life of the configuration tree. */
#include "conf/conf.h"

#include "conf/build.h"

#include <stdlib.h>

enum { CONF_BLOCK = 16384 };

conf *conf_new(void)
{
    pool boot;
    pool_init(&boot, CONF_BLOCK);
    conf *c = pool_zalloc(&boot, sizeof *c);
    conf_defaults(CONF_KIND_gateway, &c->g);
    c->pool = boot;
    return c;
}

void conf_free(conf *c)
{
    if (c) {
        pool gone = c->pool; /* the conf itself lives in its pool */
        pool_fini(&gone);
    }
}
