/* auth_basic.c — HTTP Basic (RFC 7617) against the lines of an htpasswd file. */
#include "flow/access.h"

#include "base/err.h"
#include "base/map.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/guard.h"
#include "flow/tmpl.h"
#include "flow/users.h"
#include "flow/verify.h"

static int challenge(req *r, str realm)
{
    const str parts[3] = {STR("Basic realm=\""), realm, STR("\"")};
    str value = pool_join(&r->pool, parts, 3);
    int rc = headers_value_is_ok(value) ? access_challenge(r, STR("WWW-Authenticate"), value) : ERR_INVALID;
    return rc < 0 ? rc : 401;
}

/* 0, ERR_NOT_FOUND, or another ERR_*; a status of 400 and above: nobody can be let in. */
static int find(req *r, const guard *g, const struct basic *b, str path, str *stored)
{
    if (g->users) {
        const char *known = map_get(g->users, b->user);
        *stored = known ? str_c(known) : STR_EMPTY;
        return known ? 0 : ERR_NOT_FOUND;
    }
    str text;
    int rc = users_read(pool_cstr(&r->pool, path), &r->pool, &text);
    if (rc < 0) {
        req_log(r, rc == ERR_NOT_FOUND ? LOG_ERROR_ : LOG_CRIT_, "open() \"%.*s\" failed (%s)", STR_ARG(path), err_text(rc));
        return rc == ERR_NOT_FOUND ? 403 : 500;
    }
    return users_find(text, b->user, stored);
}

static int judge(req *r, const guard *g, const struct basic *b, str realm)
{
    str path = g->users_file ? tmpl_eval(g->users_file, r) : STR_EMPTY, stored;
    int rc = find(r, g, b, path, &stored);
    if (rc == ERR_NOT_FOUND) {
        req_log(r, LOG_ERROR_, "user \"%.*s\" was not found in \"%.*s\"", STR_ARG(b->user), STR_ARG(path));
        return challenge(r, realm);
    }
    rc = rc ? rc : verify_password(r, b, stored);
    if (rc == 0) {
        return ACCESS_PASSES;
    }
    if (rc == ERR_AGAIN || rc > 0) {
        return rc;
    }
    if (rc != ERR_NOT_FOUND) {
        req_log(r, LOG_CRIT_, "the password of user \"%.*s\" cannot be checked: %s", STR_ARG(b->user), err_text(rc));
        return rc == ERR_LIMIT || rc == ERR_TIMEOUT ? 503 : 500;
    }
    req_log(r, LOG_ERROR_, "user \"%.*s\": password mismatch", STR_ARG(b->user));
    return challenge(r, realm);
}

int auth_basic_check(req *r, const guard *g)
{
    str realm = g->realm ? tmpl_eval(g->realm, r) : STR("off");
    if (str_eq(realm, STR("off"))) {
        return ACCESS_NO_OPINION;
    }
    struct basic b;
    if (!basic_read(r, &b)) {
        req_log(r, LOG_INFO_, "no user/password was provided for basic authentication");
        return challenge(r, realm);
    }
    return judge(r, g, &b, realm);
}
