/* proxy_e2e.c — a whole proxied connection: what a client may send and what an upstream may answer, through the real front, flow
 * and back over socket pairs.
 *
 * Input: a byte of options, two bytes with the length of the client's bytes, these, and the upstream's answer to each of its
 * connections. Properties: what the upstream gets are well-formed requests with one framing field each; what the client gets are
 * well-formed responses, in step with its requests; nothing is left when both are gone. */
#include "support.h"

#include "back/group.h"
#include "conf/build.h"
#include "flow/plan.h"
#include "flow/req.h"
#include "flow/tunnel.h"
#include "front/conn.h"
#include "http/h1_chunk.h"
#include "base/log.h"
#include "net/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { OPTION_DRIP = 1, OPTION_SHUT = 2, OPTION_KEEP_UPSTREAM = 4, OPTION_ANSWER_EARLY = 8 };
enum { UPSTREAMS_MAX = 16, BYTES_MAX = 1 << 20, QUIET_TURNS = 6, TURNS_MAX = 4000 };

/* One per process. */
static struct {
    loop *l;
    front *f;
    int up_fd, listen_fd; /* the upstream's listener; the gateway's, which nobody connects to */
    char dir[64];
} world;

static struct transcript {
    char *p;
    size_t n;
    int fd;
    bool answered, upgraded;
} up[UPSTREAMS_MAX], down;
static int nup;

/* ---- the gateway */

static int unix_listener(const char *name, char *text, size_t cap)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s/%s", world.dir, name);
    snprintf(text, cap, "unix:%s/%s", world.dir, name);
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof un) == 0 && listen(fd, 64) == 0);
    return fd;
}

static void *array(conf *c, enum conf_kind kind, const char *name, void *obj, int n)
{
    return conf_set_array(c, conf_field_find(kind, str_c(name)), obj, n);
}

static void text(conf *c, enum conf_kind kind, const char *name, void *obj, const char *value)
{
    REQUIRE(conf_set_str(c, conf_field_find(kind, str_c(name)), obj, str_c(value)) == 0);
}

static conf *make_conf(const char *at, const char *upstream)
{
    conf *c = conf_new();
    struct conf_upstream *u = array(c, CONF_KIND_gateway, "upstreams", &c->g, 1);
    text(c, CONF_KIND_upstream, "name", u, "origin");
    u->retry_budget = 0;
    u->passive_fails = 0;
    text(c, CONF_KIND_peer, "address", array(c, CONF_KIND_upstream, "peers", u, 1), upstream);
    struct conf_site *s = array(c, CONF_KIND_gateway, "sites", &c->g, 1);
    *(str *)array(c, CONF_KIND_site, "names", s, 1) = STR("*");
    struct conf_route *r = array(c, CONF_KIND_site, "routes", s, 1);
    text(c, CONF_KIND_route, "pattern", r, "/");
    text(c, CONF_KIND_route, "match", r, "prefix");
    text(c, CONF_KIND_route, "action", r, "proxy");
    r->upstream = 0;
    r->body_limit = 64 * 1024;
    s->fallback = 0;
    struct conf_listen *l = array(c, CONF_KIND_gateway, "listens", &c->g, 1);
    text(c, CONF_KIND_listen, "address", l, at);
    *(int *)array(c, CONF_KIND_listen, "sites", l, 1) = 0;
    l->default_site = 0;
    return c;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    char at[128], upstream[128], err[256];
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_EMERG_);
    snprintf(world.dir, sizeof world.dir, "/tmp/proxy_e2e.XXXXXX");
    REQUIRE(mkdtemp(world.dir));
    world.l = loop_new();
    world.listen_fd = unix_listener("gateway", at, sizeof at);
    world.up_fd = unix_listener("origin", upstream, sizeof upstream);
    conf *c = make_conf(at, upstream);
    REQUIRE(conf_freeze(c, err, sizeof err) == 0);
    plan *p = plan_new(c, 1, err, sizeof err);
    REQUIRE(p && plan_attach(p, group_set_new(world.l, NULL), err, sizeof err) == 0);
    struct front_args args = {.l = world.l};
    world.f = front_new(&args);
    REQUIRE(front_commit(world.f, p, &world.listen_fd) == 0);
    down.p = malloc(BYTES_MAX);
    for (int i = 0; i < UPSTREAMS_MAX; i++) {
        up[i].p = malloc(BYTES_MAX);
    }
    return 0;
}

/* ---- the two ends */

/* What is there now; false at the end. *moved counts. */
static bool drain(struct transcript *t, size_t *moved)
{
    while (t->fd >= 0 && t->n < BYTES_MAX) {
        ssize_t n = read(t->fd, t->p + t->n, BYTES_MAX - t->n);
        if (n < 0 && errno == EAGAIN) {
            return true;
        }
        if (n <= 0) {
            return false;
        }
        t->n += (size_t)n;
        *moved += (size_t)n;
    }
    return t->fd >= 0;
}

static void hang_up(struct transcript *t)
{
    if (t->fd >= 0) {
        close(t->fd);
        t->fd = -1;
    }
}

static void accept_upstreams(unsigned options, str reply, size_t *moved)
{
    int fd;
    while (nup < UPSTREAMS_MAX && (fd = accept4(world.up_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        up[nup++].fd = fd;
        ++*moved;
    }
    for (int i = 0; i < nup; i++) {
        struct transcript *t = &up[i];
        if (!drain(t, moved)) {
            hang_up(t);
        }
        bool asked = t->n || (options & OPTION_ANSWER_EARLY);
        if (t->fd >= 0 && asked && !t->answered) {
            t->answered = true;
            ++*moved;
            (void)!write(t->fd, reply.p, reply.n);
            if (!(options & OPTION_KEEP_UPSTREAM)) {
                shutdown(t->fd, SHUT_WR);
            }
        }
    }
}

static void play(unsigned options, str request, str reply)
{
    int pair[2];
    addr nobody;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE(addr_parse(STR("192.0.2.1"), 1234, &nobody) == 0);
    down.fd = pair[1];
    down.n = 0;
    nup = 0;
    conn_open(list_item(world.f->listeners.next, front_listener, node), pair[0], &nobody);
    size_t at = 0, step = options & OPTION_DRIP ? 1 + request.n / 64 : request.n;
    bool open = true, shut = false;
    for (int turn = 0, quiet = 0; open && turn < TURNS_MAX && quiet < QUIET_TURNS; turn++) {
        size_t moved = 0;
        if (at < request.n) {
            size_t want = request.n - at < step ? request.n - at : step;
            ssize_t n = write(down.fd, request.p + at, want);
            at += n > 0 ? (size_t)n : 0;
            moved += n > 0;
        } else if (!shut && (options & OPTION_SHUT)) {
            shutdown(down.fd, SHUT_WR);
            shut = true;
            moved++;
        }
        loop_turn(world.l, 0);
        accept_upstreams(options, reply, &moved);
        open = drain(&down, &moved);
        quiet = moved ? 0 : quiet + 1;
    }
}

static void clean_up(void)
{
    hang_up(&down);
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        size_t moved = 0;
        loop_turn(world.l, 0);
        accept_upstreams(0, STR_EMPTY, &moved);
        for (int i = 0; i < nup; i++) {
            hang_up(&up[i]);
        }
        if (world.f->nconns == 0 && req_count() == 0) {
            break;
        }
    }
    REQUIRE(world.f->nconns == 0 && req_count() == 0 && tunnel_count() == 0);
    for (int turn = 0; turn < QUIET_TURNS; turn++) {
        size_t moved = 0;
        loop_turn(world.l, 0); /* idle upstream connections learn of their end */
        accept_upstreams(0, STR_EMPTY, &moved);
    }
    for (int i = 0; i < nup; i++) {
        hang_up(&up[i]);
        up[i] = (struct transcript){.p = up[i].p, .fd = -1};
    }
}

/* ---- what they got */

/* Steps over a body; false when it is not all there. */
static bool skip_body(const msg *m, str *in, pool *p)
{
    if (m->body == MSG_BODY_LENGTH) {
        bool whole = (uint64_t)m->length <= in->n;
        *in = str_from(*in, whole ? (size_t)m->length : in->n);
        return whole;
    }
    if (m->body == MSG_BODY_CLOSE) {
        *in = STR_EMPTY;
    }
    if (m->body != MSG_BODY_CHUNKED) {
        return true;
    }
    h1_chunk c;
    h1_chunk_init(&c);
    for (;;) {
        str data;
        size_t used;
        int rc = h1_chunk_decode(&c, *in, &data, &used);
        REQUIRE(rc >= 0); /* we wrote it */
        *in = str_from(*in, used);
        if (rc == 1) {
            break;
        }
        if (!used) {
            return false;
        }
    }
    headers trailers;
    headers_init(&trailers, p);
    h1_limits lim = support_wide_limits();
    int n = h1_parse_trailers(*in, &lim, &trailers);
    REQUIRE(n > 0 || n == ERR_AGAIN);
    *in = str_from(*in, n > 0 ? (size_t)n : in->n);
    return n > 0;
}

static void check_framing(const msg *m)
{
    uint32_t at = 0, n = 0;
    for (const field *f; (f = headers_each(&m->h, &at)) != NULL;) {
        n += f->token == TOKEN_TRANSFER_ENCODING || f->token == TOKEN_CONTENT_LENGTH;
        REQUIRE(headers_value_is_ok(f->value) && headers_name_is_ok(f->name));
    }
    REQUIRE(n <= 1);
}

static void check_upstream(const struct transcript *t, pool *p)
{
    str in = str_of(t->p, t->n);
    while (in.n) {
        h1_limits lim = support_wide_limits();
        h1_scan scan = {0};
        msg m;
        msg_init(&m, p);
        int n = h1_parse_request(in, &lim, &scan, &m);
        REQUIRE(n > 0 || n == ERR_AGAIN);
        if (n < 0) {
            return;
        }
        check_framing(&m);
        in = str_from(in, (size_t)n);
        if (m.upgrade || !skip_body(&m, &in, p)) {
            return; /* opaque from here; or cut */
        }
    }
}

/* The method of the next request the client sent; METHOD_UNKNOWN-like 0 when it did not send a good one. */
static bool next_method(str *in, enum method *method, pool *p)
{
    h1_limits lim = {.head = 65536, .target = 16384, .fields = 100};
    h1_scan scan = {0};
    msg m;
    msg_init(&m, p);
    int n = in->n ? h1_parse_request(*in, &lim, &scan, &m) : ERR_AGAIN;
    if (n < 0 || m.upgrade) {
        return false;
    }
    *method = (enum method)m.method;
    *in = str_from(*in, (size_t)n);
    if (m.body == MSG_BODY_CHUNKED) { /* the client's chunks may be broken: not ours to require */
        *in = STR_EMPTY;
    } else if (m.body == MSG_BODY_LENGTH) {
        *in = str_from(*in, (uint64_t)m.length < in->n ? (size_t)m.length : in->n);
    }
    return true;
}

static void check_client(str request, pool *p)
{
    str in = str_of(down.p, down.n);
    while (in.n) {
        enum method method = METHOD_GET;
        bool known = next_method(&request, &method, p);
        for (;;) {
            h1_limits lim = support_wide_limits();
            h1_scan scan = {0};
            msg m;
            msg_init(&m, p);
            int n = h1_parse_response(in, &lim, &scan, method, &m);
            REQUIRE(n > 0 || n == ERR_AGAIN);
            if (n < 0) {
                return;
            }
            REQUIRE(memmem(in.p, (size_t)n, "\r\n\r\n", 4) == in.p + n - 4);
            check_framing(&m);
            in = str_from(in, (size_t)n);
            if (m.status >= 100 && m.status < 200 && m.status != 101) {
                continue;
            }
            if (m.status == 101 || !known || !skip_body(&m, &in, p)) {
                return;
            }
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    size_t n = (size_t)data[1] << 8 | data[2];
    str rest = str_of((const char *)data + 3, size - 3);
    n = n < rest.n ? n : rest.n;
    str request = str_of(rest.p, n), reply = str_from(rest, n);
    play(data[0], request, reply);
    pool p;
    pool_init(&p, 4096);
    for (int i = 0; i < nup; i++) {
        check_upstream(&up[i], &p);
    }
    check_client(request, &p);
    clean_up();
    pool_fini(&p);
    return 0;
}
