/* reply_file.c — see reply_file.h. */
#include "flow/reply_file.h"

#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "flow/filter.h"
#include "flow/mime.h"
#include "flow/plan.h"
#include "http/date.h"

enum { DATE_BYTES = 29 };

static void on_fini(void *arg)
{
    reply_file *f = arg;
    fileref_unref(f->file);
}

/* The form of nginx, so that a cache in front keeps its entries when one server is replaced by the other. */
static int add_validators(req *r, const struct stat *st)
{
    headers *h = &r->res.h;
    int64_t modified_s = (int64_t)st->st_mtim.tv_sec;
    char *date = pool_alloc(&r->pool, 32);
    date_format(modified_s, date);
    int rc = headers_set(h, STR("Last-Modified"), str_of(date, DATE_BYTES));
    if (rc < 0 || !r->route->c->etag) {
        return rc;
    }
    return headers_set(h, STR("ETag"), pool_printf(&r->pool, "\"%llx-%llx\"", (unsigned long long)modified_s, (unsigned long long)st->st_size));
}

int reply_file_set(req *r, int fd, const struct stat *st)
{
    reply_file *f = pool_alloc(&r->pool, sizeof *f);
    f->file = fileref_new(fd);
    f->size = (int64_t)st->st_size;
    pool_on_fini(&r->pool, on_fini, f);
    req_reply(r, 200, STR_EMPTY, STR_EMPTY);
    r->reply_file = f;
    str type = mime_of_path(r->route, r->path);
    int rc = type.n ? headers_set(&r->res.h, STR("Content-Type"), type) : 0;
    r->allows = REQ_ALLOWS_RANGES | REQ_ALLOWS_CONDITIONS;
    r->filters |= FILTER_BIT(RANGE);
    return rc < 0 ? rc : add_validators(r, st);
}
