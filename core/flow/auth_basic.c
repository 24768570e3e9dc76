/* auth_basic.c — HTTP Basic (RFC 7617) against the lines of an htpasswd file. */
#include "flow/access.h"

#include "base/err.h"
#include "base/map.h"
#include "conf/conf.h"
#include "flow/error.h"
#include "flow/guard.h"
#include "flow/tmpl.h"
#include "flow/verify.h"

static int challenge(req *r, str realm)
{
    const str parts[3] = {STR("Basic realm=\""), realm, STR("\"")};
    str value = pool_join(&r->pool, parts, 3);
    int rc = headers_value_is_ok(value) ? access_challenge(r, STR("WWW-Authenticate"), value) : ERR_INVALID;
    return rc < 0 ? rc : 401;
}

static int judge(req *r, const guard *g, const struct basic *b, str realm)
{
    const char *stored = map_get(g->users, b->user);
    if (!stored) {
        req_log(r, LOG_ERROR_, "user \"%.*s\" was not found in \"%.*s\"", STR_ARG(b->user), STR_ARG(g->c->users_file));
        return challenge(r, realm);
    }
    int rc = verify_password(r, b, str_c(stored));
    if (rc == 0) {
        return ACCESS_PASSES;
    }
    if (rc == ERR_AGAIN) {
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
    if (!g->users) {
        req_log(r, LOG_ERROR_, "the password file \"%.*s\" could not be read when the configuration was loaded", STR_ARG(g->c->users_file));
        return 403;
    }
    return judge(r, g, &b, realm);
}
