/* reply_file.c — see reply_file.h. */
#include "flow/reply_file.h"

#include "base/err.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/filter_compress.h"
#include "flow/links.h"
#include "flow/steps.h"
#include "http/date.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int set_file(req *r, int fd, const struct stat *st)
{
    reply_file *f = pool_alloc(&r->pool, sizeof *f);
    f->file = fileref_new(fd);
    f->size = (int64_t)st->st_size;
    pool_on_fini(&r->pool, on_fini, f);
    req_reply(r, 200, STR_EMPTY, STR_EMPTY);
    r->reply_file = f;
    r->allows = REQ_ALLOWS_RANGES | REQ_ALLOWS_CONDITIONS;
    r->filters |= FILTER_BIT(RANGE);
    return add_validators(r, st);
}

static int missing(const req *r, const char *what, const char *path, int errnum)
{
    if (r->route->c->log_missing) {
        req_log(r, LOG_ERROR_, "%s \"%s\" failed (%d: %s)", what, path, errnum, strerror(errnum));
    }
    return ERR_NOT_FOUND;
}

/* What an errno of open means to the client. */
static int open_failed(const req *r, const char *path, int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return missing(r, "open()", path, errnum);
    case EACCES:
    case ELOOP:
    case EXDEV: /* a link out of the root */
        req_log(r, LOG_ERROR_, "open() \"%s\" failed (%d: %s)", path, errnum, strerror(errnum));
        return ERR_FORBIDDEN;
    default:
        req_log(r, LOG_CRIT_, "open() \"%s\" failed (%d: %s)", path, errnum, strerror(errnum));
        return ERR_IO;
    }
}

/* Opens the file; *st is filled. < 0: errno says why. */
static int open_file(const req *r, str path, size_t base_n, struct stat *st)
{
    int fd = links_open(r, path, base_n);
    if (fd >= 0 && fstat(fd, st) < 0) {
        int errnum = errno;
        close(fd);
        errno = errnum;
        return -1;
    }
    return fd;
}

/* The file beside the file in a coding that the client takes, when the route looks for it. */
static int answer_packed(req *r, str path, size_t base_n)
{
    enum coding wanted[CODING_COUNT];
    int n = filter_packed_codings(r, wanted);
    for (int i = 0; i < n; i++) {
        static const str endings[CODING_COUNT] = {[CODING_GZIP] = {".gz", 3}, [CODING_BR] = {".br", 3}, [CODING_ZSTD] = {".zst", 4}};
        const str parts[2] = {path, endings[wanted[i]]};
        struct stat st;
        int fd = open_file(r, pool_join(&r->pool, parts, 2), base_n, &st);
        if (fd >= 0 && S_ISREG(st.st_mode)) {
            int rc = set_file(r, fd, &st);
            rc = rc < 0 ? rc : headers_set(&r->res.h, STR("Content-Encoding"), coding_name(wanted[i]));
            rc = rc < 0 ? rc : filter_packed_vary(r);
            return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    return STEP_NEXT;
}

int reply_file_not_allowed(req *r)
{
    if (!r->extra.pool) {
        headers_init(&r->extra, &r->pool);
    }
    int rc = headers_set(&r->extra, STR("Allow"), STR("GET, HEAD"));
    return rc < 0 ? rc : ERR_METHOD;
}

int reply_file_answer(req *r, str path, size_t base_n)
{
    bool packs = r->route->c->precompressed && r->in.method != METHOD_POST;
    int rc = packs ? answer_packed(r, path, base_n) : STEP_NEXT;
    if (rc != STEP_NEXT) {
        return rc;
    }
    struct stat st;
    int fd = open_file(r, path, base_n, &st);
    if (fd < 0) {
        return open_failed(r, path.p, errno);
    }
    if (S_ISREG(st.st_mode) && r->in.method != METHOD_POST) {
        rc = set_file(r, fd, &st);
        rc = rc < 0 || !packs ? rc : filter_packed_vary(r);
        return rc < 0 ? rc : STEP_JUMP | STEP_REPLY;
    }
    close(fd);
    if (S_ISDIR(st.st_mode)) {
        return REPLY_FILE_FOLDER;
    }
    if (S_ISREG(st.st_mode)) {
        return reply_file_not_allowed(r);
    }
    req_log(r, LOG_CRIT_, "\"%s\" is not a regular file", path.p);
    return ERR_NOT_FOUND;
}
