/* err.c — names, texts and statuses of err.def, and the way from errno. */
#include "base/err.h"

#include <errno.h>
#include <stddef.h>

static const struct {
    const char *name;
    const char *text;
    int status;
} errs[ERR_INDEX_COUNT] = {
    [ERR_INDEX_OK] = {"OK", "success", 200},
#define X(name, status, text) [ERR_INDEX_##name] = {#name, text, status},
#include "base/err.def"
#undef X
};

/* Index into errs, or -1 for a number that is no code. */
static int err_slot(int code)
{
    if (code >= 0) {
        return 0;
    }
    return code > -(int)ERR_INDEX_COUNT ? -code : -1;
}

const char *err_name(int code)
{
    int i = err_slot(code);
    return i < 0 ? "UNKNOWN" : errs[i].name;
}

const char *err_text(int code)
{
    int i = err_slot(code);
    return i < 0 ? "unknown error" : errs[i].text;
}

int err_status(int code)
{
    int i = err_slot(code);
    return i < 0 || errs[i].status == 0 ? 500 : errs[i].status;
}

static const struct {
    int errnum;
    int code;
} from_errno[] = {
    {EAGAIN, ERR_AGAIN},
    {EINPROGRESS, ERR_AGAIN},
    {EINTR, ERR_AGAIN},
    {ENOMEM, ERR_MEM},
    {ENOBUFS, ERR_MEM},
    {ETIMEDOUT, ERR_TIMEOUT},
    {ECONNREFUSED, ERR_REFUSED},
    {ECONNRESET, ERR_RESET},
    {ECONNABORTED, ERR_RESET},
    {EPIPE, ERR_RESET},
    {EHOSTUNREACH, ERR_UNREACHABLE},
    {ENETUNREACH, ERR_UNREACHABLE},
    {ENETDOWN, ERR_UNREACHABLE},
    {EHOSTDOWN, ERR_UNREACHABLE},
    {EADDRNOTAVAIL, ERR_UNREACHABLE},
    {EMFILE, ERR_LIMIT},
    {ENFILE, ERR_LIMIT},
    {EINVAL, ERR_INVALID},
    {ENOENT, ERR_NOT_FOUND},
    {ENOTDIR, ERR_NOT_FOUND},
    {EEXIST, ERR_EXISTS},
    {EADDRINUSE, ERR_EXISTS},
    {ECANCELED, ERR_CANCELLED},
};

int err_from_errno(int errnum)
{
    for (size_t i = 0; i < sizeof from_errno / sizeof from_errno[0]; i++) {
        if (from_errno[i].errnum == errnum) {
            return from_errno[i].code;
        }
    }
    return ERR_IO;
}
