/* var_files.c — variables about the file system. */
#include "flow/files.h"
#include "flow/req.h"
#include "flow/var_impl.h"

#include <limits.h>
#include <stdlib.h>

str var_get_document_root(req *r, str arg)
{
    (void)arg;
    return files_root(r);
}

str var_get_request_filename(req *r, str arg)
{
    (void)arg;
    return files_path(r);
}

str var_get_realpath_root(req *r, str arg)
{
    (void)arg;
    char real[PATH_MAX];
    str root = files_root(r);
    if (root.n == 0 || root.n >= sizeof real) {
        return VAR_ABSENT;
    }
    str path = pool_dup(&r->pool, root);
    return realpath(path.p, real) ? pool_dup(&r->pool, str_c(real)) : VAR_ABSENT;
}
