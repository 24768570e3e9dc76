/* expires.c — see expires.h. A value with variables is read per answer; one that cannot be read means nothing. */
#include "flow/expires.h"

#include "base/clock.h"
#include "base/err.h"
#include "conf/conf.h"
#include "flow/precondition.h"
#include "flow/tmpl.h"
#include "http/date.h"

#include <stdio.h>
#include <time.h>

enum { DATE_BYTES = 29, DAY_S = 86400 };

enum expires_kind { EXPIRES_OFF, EXPIRES_EPOCH, EXPIRES_MAX, EXPIRES_AFTER, EXPIRES_DAILY };

struct moment {
    enum expires_kind kind;
    int64_t seconds;
};

struct expires {
    tmpl *text;      /* NULL: fixed */
    struct moment fixed;
    bool modified;
};

/* "1h30m", "90", "2d 4h": in descending units. */
static int read_span(str s, int64_t *out)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'y', 31536000}, {'M', 2592000}, {'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t total = 0;
    size_t i = 0, least = 0;
    if (s.n == 0) {
        return ERR_INVALID;
    }
    while (i < s.n) {
        int64_t v = 0;
        size_t from = i;
        for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && i - from < 12; i++) {
            v = v * 10 + (s.p[i] - '0');
        }
        size_t u = least;
        while (u < ARRAY_LEN(units) && (i < s.n ? s.p[i] : 's') != units[u].letter) {
            u++;
        }
        if (i == from || u == ARRAY_LEN(units)) {
            return ERR_INVALID;
        }
        total += v * units[u].seconds;
        least = u + 1;
        i += i < s.n;
        while (i < s.n && s.p[i] == ' ') {
            i++;
        }
    }
    *out = total;
    return total <= INT32_MAX ? 0 : ERR_INVALID;
}

static int read_moment(str s, bool modified, struct moment *out)
{
    static const struct {
        str word;
        enum expires_kind kind;
    } words[] = {{{"epoch", 5}, EXPIRES_EPOCH}, {{"max", 3}, EXPIRES_MAX}, {{"off", 3}, EXPIRES_OFF}};
    *out = (struct moment){.kind = EXPIRES_OFF};
    for (size_t i = 0; !modified && i < ARRAY_LEN(words); i++) {
        if (str_eq(s, words[i].word)) {
            out->kind = words[i].kind;
            return 0;
        }
    }
    bool daily = s.n > 0 && s.p[0] == '@';
    bool minus = s.n > 0 && s.p[0] == '-';
    if (daily && modified) {
        return ERR_INVALID;
    }
    int64_t seconds = 0;
    int rc = read_span(str_from(s, daily || minus), &seconds);
    if (rc < 0 || (daily && seconds > DAY_S)) {
        return ERR_INVALID;
    }
    *out = (struct moment){daily ? EXPIRES_DAILY : EXPIRES_AFTER, minus ? -seconds : seconds};
    return 0;
}

int expires_compile(const route *rt, pool *p, expires **out, char *err, size_t errcap)
{
    const struct conf_route *c = rt->c;
    *out = NULL;
    if (!c->expires.p) {
        return 0;
    }
    const char *label = c->label.n ? c->label.p : "route";
    char why[200];
    tmpl *t = tmpl_compile_for(c->expires, rt, p, why, sizeof why);
    if (!t) {
        snprintf(err, errcap, "%s: expires: %s", label, why);
        return ERR_CONF;
    }
    expires *e = pool_zalloc(p, sizeof *e);
    e->modified = c->expires_modified;
    e->text = tmpl_is_constant(t) ? NULL : t;
    if (!e->text && read_moment(tmpl_constant(t), e->modified, &e->fixed) < 0) {
        snprintf(err, errcap, "%s: expires: \"%.*s\" is no time such as 1h, -1, @15h30m, epoch, max or off", label, STR_ARG(c->expires));
        return ERR_CONF;
    }
    *out = e;
    return 0;
}

/* The next time it is that late in the local day. */
static int64_t next_daily(int64_t now_s, int64_t of_day_s)
{
    time_t now = (time_t)now_s;
    struct tm local;
    localtime_r(&now, &local);
    local.tm_hour = (int)(of_day_s / 3600);
    local.tm_min = (int)(of_day_s / 60 % 60);
    local.tm_sec = (int)(of_day_s % 60);
    local.tm_isdst = -1;
    int64_t at = (int64_t)mktime(&local);
    return at > now_s ? at : at + DAY_S;
}

static int set_fields(req *r, int64_t at_s, str control)
{
    char *date = pool_alloc(&r->pool, 32);
    date_format(at_s, date);
    int rc = headers_set(&r->res.h, STR("Expires"), str_of(date, DATE_BYTES));
    return rc < 0 ? rc : headers_set(&r->res.h, STR("Cache-Control"), control);
}

static int apply(req *r, const struct moment *m, bool modified)
{
    enum { NEVER_S = 2145916555 }; /* Thu, 31 Dec 2037 23:55:55 GMT */
    if (m->kind == EXPIRES_EPOCH) {
        return set_fields(r, 1, STR("no-cache"));
    }
    if (m->kind == EXPIRES_MAX) {
        return set_fields(r, NEVER_S, STR("max-age=315360000"));
    }
    int64_t now_s = clock_wall_ms() / 1000;
    int64_t since = modified ? precondition_modified(r) : -1;
    int64_t at_s = m->kind == EXPIRES_DAILY ? next_daily(now_s, m->seconds) : (since >= 0 ? since : now_s) + m->seconds;
    bool past = m->seconds < 0 || at_s < now_s;
    return set_fields(r, at_s, past ? STR("no-cache") : pool_printf(&r->pool, "max-age=%lld", (long long)(at_s - now_s)));
}

int expires_apply(req *r)
{
    const expires *e = r->route->expires;
    if (!msg_has_usual_status(&r->res)) {
        return 0;
    }
    struct moment m = e->fixed;
    if (e->text && read_moment(tmpl_eval(e->text, r), e->modified, &m) < 0) {
        return 0;
    }
    return m.kind == EXPIRES_OFF ? 0 : apply(r, &m, e->modified);
}
