/* secure_link.c — see secure_link.h. A request says "HASH" or "HASH,TIME", the hash in base64 of RFC 4648 §5; or, in the older form, its path is /PREFIX/HASH/LINK
 * with the hash in hexadecimal. Hashes are MD5, which nginx's users sign with: the secret is in what is hashed. */
#include "flow/secure_link.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/plan.h"
#include "flow/tmpl.h"
#include "flow/var_impl.h"
#include "tls/digest.h"

#include <stdio.h>

enum { MD5_SIZE = 16, BASE64_MAX = 24 };

struct secure_link {
    const struct conf_secure *c;
    tmpl *said, *hashed;
};

int secure_link_compile(plan *p, const route *rt, struct secure_link **out, char *err, size_t errcap)
{
    *out = NULL;
    if (!rt->c->secure.n) {
        return 0;
    }
    struct secure_link *s = pool_zalloc(&p->pool, sizeof *s);
    char why[200];
    s->c = &rt->c->secure.v[0];
    s->said = s->c->said.n ? tmpl_compile_for(s->c->said, rt, &p->pool, why, sizeof why) : NULL;
    s->hashed = s->c->hashed.n ? tmpl_compile_for(s->c->hashed, rt, &p->pool, why, sizeof why) : NULL;
    if ((s->c->said.n && !s->said) || (s->c->hashed.n && !s->hashed)) {
        snprintf(err, errcap, "%s: secure link: %s", rt->c->label.n ? rt->c->label.p : "route", why);
        return ERR_CONF;
    }
    *out = s;
    return 0;
}

/* In time that does not depend on where they differ. */
static bool is_same(const uint8_t *a, const uint8_t *b)
{
    uint8_t d = 0;
    for (int i = 0; i < MD5_SIZE; i++) {
        d |= (uint8_t)(a[i] ^ b[i]);
    }
    return d == 0;
}

static bool is_md5_of(str text, const uint8_t *hash)
{
    uint8_t md[DIGEST_MAX];
    return digest_once(STR("md5"), STR_EMPTY, text, md) == MD5_SIZE && is_same(md, hash);
}

/* "HASH" or "HASH,TIME". */
static str *split_said(str said, str part[2])
{
    size_t comma = str_find(said, ',', 0);
    part[0] = str_of(said.p, comma);
    part[1] = comma < said.n ? str_from(said, comma + 1) : (str){NULL, 0};
    return part;
}

static str judge(const struct secure_link *s, req *r)
{
    str part[2];
    split_said(tmpl_eval(s->said, r), part);
    int64_t ends = 0;
    if (part[1].p && (str_to_i64(part[1], &ends) < 0 || ends <= 0)) {
        return VAR_ABSENT;
    }
    uint8_t hash[(BASE64_MAX / 4 * 3) + 3];
    if (part[0].n > BASE64_MAX || base64_decode(part[0], hash) != MD5_SIZE || !is_md5_of(tmpl_eval(s->hashed, r), hash)) {
        return VAR_ABSENT;
    }
    return ends && ends < clock_wall_ms() / 1000 ? STR("0") : STR("1");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static bool unhex(str text, uint8_t *out)
{
    for (size_t i = 0; i < MD5_SIZE; i++) {
        int hi = hex_digit(text.p[2 * i]), lo = hex_digit(text.p[2 * i + 1]);
        if (hi < 0 || lo < 0) {
            return false;
        }
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

/* /PREFIX/HASH/LINK: the link, when its hash is that of it and the secret. */
static str judge_path(const struct secure_link *s, req *r)
{
    str raw = r->uri.raw;
    size_t a = raw.n ? str_find(raw, '/', 1) : 0, b = a < raw.n ? str_find(raw, '/', a + 1) : raw.n;
    if (b >= raw.n || b - a - 1 != 2 * MD5_SIZE || b + 1 == raw.n) {
        return VAR_ABSENT;
    }
    str link = str_from(raw, b + 1);
    const str parts[2] = {link, s->c->secret};
    uint8_t hash[MD5_SIZE];
    return unhex(str_from(raw, a + 1), hash) && is_md5_of(pool_join(&r->pool, parts, 2), hash) ? link : VAR_ABSENT;
}

str var_get_secure_link(req *r, str arg)
{
    (void)arg;
    const struct secure_link *s = r->route ? r->route->secure : NULL;
    if (s && s->c->secret.n) {
        return judge_path(s, r);
    }
    return s && s->said && s->hashed ? judge(s, r) : VAR_ABSENT;
}

str var_get_secure_link_expires(req *r, str arg)
{
    (void)arg;
    const struct secure_link *s = r->route ? r->route->secure : NULL;
    str part[2];
    return s && s->said ? split_said(tmpl_eval(s->said, r), part)[1] : VAR_ABSENT;
}
