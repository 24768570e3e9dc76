/* coding.c — see coding.h. */
#include "http/coding.h"

static const str names[CODING_COUNT] = {
    [CODING_IDENTITY] = {"identity", 8},
    [CODING_GZIP] = {"gzip", 4},
    [CODING_BR] = {"br", 2},
    [CODING_ZSTD] = {"zstd", 4},
};

str coding_name(enum coding c)
{
    return names[c];
}

enum coding coding_find(str name)
{
    for (int i = 0; i < CODING_COUNT; i++) {
        if (str_ieq(name, names[i])) {
            return (enum coding)i;
        }
    }
    return str_ieq(name, STR("x-gzip")) ? CODING_GZIP : CODING_COUNT;
}

/* qvalue (§12.4.2): "0", "1", up to three decimals; -1: malformed. */
static int parse_weight(str s)
{
    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.')) {
        return -1;
    }
    int v = (s.p[0] - '0') * 1000;
    int unit = 100;
    for (size_t i = 2; i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return -1;
        }
        v += (s.p[i] - '0') * unit;
    }
    return v > 1000 ? -1 : v;
}

/* Weight of the parameters behind a coding: "q=0.5" among them. */
static int weight_of(str params)
{
    str one;
    while (str_split(&params, ';', &one)) {
        if (one.n >= 1 && (one.p[0] == 'q' || one.p[0] == 'Q')) {
            str rest = str_trim(str_from(one, 1));
            if (rest.n && rest.p[0] == '=') {
                int q = parse_weight(str_trim(str_from(rest, 1)));
                return q < 0 ? 0 : q;
            }
        }
    }
    return 1000;
}

static void take(struct coding_wishes *out, str member)
{
    str name;
    if (!str_split(&member, ';', &name) || name.n == 0) {
        return;
    }
    int q = weight_of(member);
    if (str_eq(name, STR("*"))) {
        out->star = q;
        return;
    }
    enum coding c = coding_find(name);
    if (c != CODING_COUNT) {
        out->q[c] = q;
    }
}

void coding_wishes(const headers *in, struct coding_wishes *out)
{
    *out = (struct coding_wishes){.q = {-1, -1, -1, -1}, .star = -1};
    for (const field *f = headers_find(in, TOKEN_ACCEPT_ENCODING); f; f = headers_next(in, f)) {
        str rest = f->value;
        str member;
        while (str_split(&rest, ',', &member)) {
            take(out, member);
        }
    }
}

enum coding coding_choose(const struct coding_wishes *w, const enum coding *offered, int n, bool star)
{
    enum coding best = CODING_IDENTITY;
    int best_q = w->q[CODING_IDENTITY] > 0 ? w->q[CODING_IDENTITY] - 1 : 0; /* equally wanted: the smaller one is sent */
    for (int i = 0; i < n; i++) {
        int q = w->q[offered[i]];
        if (q < 0 && star) {
            q = w->star;
        }
        if (q > best_q) {
            best = offered[i];
            best_q = q;
        }
    }
    return best;
}
