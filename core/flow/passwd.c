/* passwd.c — see passwd.h. */
#include "flow/passwd.h"

#include "base/base64.h"
#include "base/err.h"
#include "tls/digest.h"

#include <crypt.h>
#include <stdlib.h>

enum { PASSWORD_MAX = 512, STORED_MAX = 384, SHA1_SIZE = 20, MD5_SIZE = 16, APR1_ROUNDS = 1000, BCRYPT_COST_MAX = 14, SHA2_ROUNDS_MAX = 1000000 };

/* Time must not tell how much was right. */
static bool is_same(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < n; i++) {
        differ |= x[i] ^ y[i];
    }
    return differ == 0;
}

static int verdict(bool same)
{
    return same ? 0 : ERR_NOT_FOUND;
}

static int check_plain(str stored, str given)
{
    return verdict(stored.n == given.n && is_same(stored.p, given.p, given.n));
}

/* base64(SHA1(password + salt) + salt); {SHA} has no salt. */
static int check_sha(str stored, str given, bool salted)
{
    uint8_t raw[STORED_MAX], sum[DIGEST_MAX];
    ssize_t n = base64_decode(stored, raw);
    if (n < SHA1_SIZE || (!salted && n != SHA1_SIZE)) {
        return ERR_NOT_FOUND;
    }
    digest *d = digest_new(STR("sha1"), STR_EMPTY);
    if (!d) {
        return ERR_MEM;
    }
    digest_update(d, given);
    digest_update(d, str_of((const char *)raw + SHA1_SIZE, (size_t)n - SHA1_SIZE));
    bool done = digest_final(d, sum, sizeof sum) == SHA1_SIZE;
    return done ? verdict(is_same(sum, raw, SHA1_SIZE)) : ERR_MEM;
}

/* -- $apr1$: Apache's MD5 with a thousand rounds */

static bool md5(const str *parts, int n, uint8_t out[DIGEST_MAX])
{
    digest *d = digest_new(STR("md5"), STR_EMPTY);
    for (int i = 0; d && i < n; i++) {
        digest_update(d, parts[i]);
    }
    return d && digest_final(d, out, DIGEST_MAX) == MD5_SIZE;
}

static str bytes(const void *p, size_t n)
{
    return str_of(p, n);
}

/* The first sum: password, magic, salt, as many bytes of md5(password salt password) as the password has, then a bit pattern of its length. */
static bool apr1_first(str given, str salt, uint8_t sum[DIGEST_MAX])
{
    uint8_t inner[DIGEST_MAX];
    const str mixed[3] = {given, salt, given};
    digest *d = md5(mixed, 3, inner) ? digest_new(STR("md5"), STR_EMPTY) : NULL;
    if (!d) {
        return false;
    }
    digest_update(d, given);
    digest_update(d, STR("$apr1$"));
    digest_update(d, salt);
    for (size_t left = given.n; left > 0; left -= left < MD5_SIZE ? left : MD5_SIZE) {
        digest_update(d, bytes(inner, left < MD5_SIZE ? left : MD5_SIZE));
    }
    for (size_t bit = given.n; bit; bit >>= 1) {
        digest_update(d, bit & 1 ? STR("\0") : str_of(given.p, 1));
    }
    return digest_final(d, sum, DIGEST_MAX) == MD5_SIZE;
}

static bool apr1_rounds(str given, str salt, uint8_t sum[DIGEST_MAX])
{
    for (int i = 0; i < APR1_ROUNDS; i++) {
        str before = bytes(sum, MD5_SIZE);
        const str parts[4] = {i & 1 ? given : before, i % 3 ? salt : STR_EMPTY, i % 7 ? given : STR_EMPTY, i & 1 ? before : given};
        uint8_t next[DIGEST_MAX];
        if (!md5(parts, 4, next)) {
            return false;
        }
        memcpy(sum, next, MD5_SIZE);
    }
    return true;
}

static void apr1_text(const uint8_t *sum, char *out)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const uint8_t order[5][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
    for (int i = 0; i < 5; i++) {
        uint32_t v = (uint32_t)sum[order[i][0]] << 16 | (uint32_t)sum[order[i][1]] << 8 | sum[order[i][2]];
        for (int k = 0; k < 4; k++, v >>= 6) {
            *out++ = digits[v & 63];
        }
    }
    *out++ = digits[sum[11] & 63];
    *out = digits[sum[11] >> 6];
}

static int check_apr1(str stored, str given)
{
    uint8_t sum[DIGEST_MAX];
    char text[22];
    size_t end = str_find(stored, '$', 0);
    str salt = str_of(stored.p, end < 8 ? end : 8);
    str hash = str_from(stored, end < stored.n ? end + 1 : stored.n);
    if (!apr1_first(given, salt, sum) || !apr1_rounds(given, salt, sum)) {
        return ERR_MEM;
    }
    apr1_text(sum, text);
    return verdict(hash.n == sizeof text && is_same(hash.p, text, sizeof text));
}

/* -- crypt(3) */

/* The work factor is chosen by whoever wrote the file, but the time is everybody's. */
static bool is_affordable(const char *stored)
{
    if (strncmp(stored, "$2", 2) == 0 && strlen(stored) > 6) {
        return atoi(stored + 4) <= BCRYPT_COST_MAX;
    }
    const char *rounds = strstr(stored, "$rounds=");
    return !rounds || strtoul(rounds + 8, NULL, 10) <= SHA2_ROUNDS_MAX;
}

static int check_crypt(str stored, str given)
{
    char salt[STORED_MAX + 1], pass[PASSWORD_MAX + 1];
    memcpy(salt, stored.p, stored.n);
    salt[stored.n] = 0;
    memcpy(pass, given.p, given.n);
    pass[given.n] = 0;
    if (memchr(pass, 0, given.n)) {
        return ERR_NOT_FOUND; /* it would be compared up to there only */
    }
    if (!is_affordable(salt)) {
        return ERR_LIMIT;
    }
    struct crypt_data *room = calloc(1, sizeof *room);
    const char *made = room ? crypt_r(pass, salt, room) : NULL;
    int rc = !room ? ERR_MEM : !made || made[0] == '*' ? ERR_INVALID : verdict(strlen(made) == stored.n && is_same(made, salt, stored.n));
    explicit_bzero(pass, sizeof pass);
    free(room);
    return rc;
}

int passwd_check(str stored, str given)
{
    if (stored.n > STORED_MAX || given.n > PASSWORD_MAX) {
        return ERR_NOT_FOUND;
    }
    if (str_has_prefix(stored, STR("{PLAIN}"))) {
        return check_plain(str_from(stored, 7), given);
    }
    if (str_has_prefix(stored, STR("{SHA}"))) {
        return check_sha(str_from(stored, 5), given, false);
    }
    if (str_has_prefix(stored, STR("{SSHA}"))) {
        return check_sha(str_from(stored, 6), given, true);
    }
    return str_has_prefix(stored, STR("$apr1$")) ? check_apr1(str_from(stored, 6), given) : check_crypt(stored, given);
}

bool passwd_is_slow(str stored)
{
    return stored.n > 0 && stored.p[0] != '{';
}
