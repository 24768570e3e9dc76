/* verify.c — see verify.h. */
#include "flow/verify.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "flow/guard.h"
#include "flow/passwd.h"
#include "net/offload.h"
#include "tls/digest.h"

#include <stdlib.h>

enum { REMEMBER = 256, REMEMBER_MS = 60000, CHECK_MS = 10000, TAG = 16 };

struct passwd_work {
    offload offload;
    req *r; /* NULL: nobody waits any more */
    str stored, given;
    int rc;
    bool done;
    char text[];
};

/* -- what was found right */

static struct {
    struct {
        uint8_t tag[TAG];
        int64_t until_ms;
    } v[REMEMBER];
    uint8_t key[32];
    bool keyed;
} known;

static bool tag_of(req *r, const struct basic *b, str stored, uint8_t *tag)
{
    if (!known.keyed) {
        rand_secure(known.key, sizeof known.key);
        known.keyed = true;
    }
    const str parts[5] = {b->user, STR("\0"), b->password, STR("\0"), stored};
    uint8_t sum[DIGEST_MAX];
    str all = pool_join(&r->pool, parts, 5);
    if (digest_once(STR("sha256"), str_of((const char *)known.key, sizeof known.key), all, sum) == 0) {
        return false;
    }
    memcpy(tag, sum, TAG);
    return true;
}

static size_t place_of(const uint8_t *tag)
{
    return ((size_t)tag[0] << 8 | tag[1]) % REMEMBER;
}

static bool is_known(const uint8_t *tag)
{
    size_t i = place_of(tag);
    return known.v[i].until_ms > clock_ms() && memcmp(known.v[i].tag, tag, TAG) == 0;
}

static void remember(const uint8_t *tag)
{
    size_t i = place_of(tag);
    memcpy(known.v[i].tag, tag, TAG);
    known.v[i].until_ms = clock_ms() + REMEMBER_MS;
}

/* -- slow ones */

static void on_thread(offload *o)
{
    struct passwd_work *w = container_of(o, struct passwd_work, offload);
    w->rc = passwd_check(w->stored, w->given);
}

static void free_work(struct passwd_work *w)
{
    explicit_bzero(w->text, w->stored.n + w->given.n);
    free(w);
}

static void on_done(offload *o)
{
    struct passwd_work *w = container_of(o, struct passwd_work, offload);
    w->done = true;
    if (w->r) {
        req_wake(w->r);
    } else {
        free_work(w);
    }
}

/* The request ends: a piece of work that still runs is nobody's. */
static void let_go(void *arg)
{
    struct guard_state *st = arg;
    struct passwd_work *w = st->work;
    st->work = NULL;
    if (w && w->done) {
        free_work(w);
    } else if (w) {
        w->r = NULL;
    }
}

static int begin(req *r, str stored, str given)
{
    struct guard_state *st = guard_of(r);
    struct passwd_work *w = calloc(1, sizeof *w + stored.n + given.n);
    if (!w) {
        return ERR_MEM;
    }
    memcpy(w->text, stored.p, stored.n);
    memcpy(w->text + stored.n, given.p, given.n);
    w->stored = str_of(w->text, stored.n);
    w->given = str_of(w->text + stored.n, given.n);
    w->offload.run = on_thread;
    w->offload.done = on_done;
    w->r = r;
    int rc = offload_start(r->l, &w->offload);
    if (rc < 0) {
        free_work(w);
        return rc;
    }
    st->work = w;
    pool_on_fini(&r->pool, let_go, st);
    return ERR_AGAIN;
}

static int ask_thread(req *r, str stored, str given)
{
    struct guard_state *st = guard_of(r);
    int rc = r->timed_out ? ERR_TIMEOUT : ERR_AGAIN;
    if (!st->work) {
        rc = begin(r, stored, given);
    } else if (st->work->done) {
        rc = st->work->rc;
        let_go(st);
    }
    if (rc == ERR_AGAIN) {
        (void)req_wait_here(r, REQ_WAIT_TURN, CHECK_MS, 0);
    }
    return rc;
}

int verify_password(req *r, const struct basic *b, str stored)
{
    uint8_t tag[TAG];
    if (!passwd_is_slow(stored)) {
        return passwd_check(stored, b->password);
    }
    if (!tag_of(r, b, stored, tag)) {
        return ERR_MEM;
    }
    int rc = is_known(tag) ? 0 : ask_thread(r, stored, b->password);
    if (rc == 0) {
        remember(tag);
    }
    return rc;
}
