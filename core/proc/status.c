/* status.c — see status.h. */
#include "proc/status.h"

#include "base/check.h"
#include "proc/status_model.h"
#include "base/version.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { STATUS_FIELDS = 12 };

struct status_line {
    str field[STATUS_FIELDS];
    int n;
};

const char *status_version(void)
{
    return MG_VERSION;
}

const char *status_worker_state(const crew_worker *w)
{
    static const char *const names[] = {"starting", "running", "draining"};
    return names[w->state];
}

void status_time(int64_t epoch_s, char buf[32])
{
    time_t t = (time_t)epoch_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

status *status_new(void)
{
    status *s = calloc(1, sizeof *s);
    REQUIRE(s);
    pool_init(&s->pool, 16384);
    return s;
}

void status_free(status *s)
{
    if (s) {
        vec_fini(&s->generations);
        vec_fini(&s->peers);
        vec_fini(&s->waits);
        vec_fini(&s->workers);
        pool_fini(&s->pool);
        free(s);
    }
}

const struct status_worker *status_find_worker(const status *s, pid_t pid)
{
    for (uint32_t i = 0; i < s->workers.n; i++) {
        if (s->workers.v[i].pid == pid) {
            return &s->workers.v[i];
        }
    }
    return NULL;
}

static int64_t status_number(const struct status_line *l, int i)
{
    int64_t v = 0;
    return i < l->n && str_to_i64(l->field[i], &v) == 0 ? v : 0;
}

/* gen number role requests refs lua_bytes tasks */
static void status_add_generation(status *s, const struct status_line *l)
{
    static const char *const order[] = {"current", "warm", "prepared", "pinned"};
    struct status_generation *g = NULL;
    for (uint32_t i = 0; i < s->generations.n; i++) {
        if (s->generations.v[i].number == status_number(l, 1)) {
            g = &s->generations.v[i];
        }
    }
    if (!g) {
        struct status_generation one = {.number = status_number(l, 1), .role = l->field[2]};
        vec_push(&s->generations, one);
        g = &s->generations.v[s->generations.n - 1];
    }
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (str_eq(l->field[2], str_c(order[i])) || str_eq(g->role, str_c(order[i]))) {
            g->role = str_c(order[i]);
            break;
        }
    }
    g->pins += status_number(l, 3);
    g->refs += status_number(l, 4);
    g->lua_bytes += status_number(l, 5);
    g->tasks += status_number(l, 6);
    g->workers++;
}

/* peer group address tier weight state in_flight idle attempts failures server added */
static void status_add_peer(status *s, const struct status_line *l)
{
    struct status_peer *p = NULL;
    for (uint32_t i = 0; i < s->peers.n; i++) {
        if (str_eq(s->peers.v[i].group, l->field[1]) &&
            str_eq(s->peers.v[i].address, l->field[2]) && str_eq(s->peers.v[i].server, l->field[10])) {
            p = &s->peers.v[i];
        }
    }
    if (!p) {
        struct status_peer one = {.group = l->field[1],
                                  .address = l->field[2],
                                  .tier = l->field[3],
                                  .state = l->field[5],
                                  .server = l->field[10],
                                  .added = status_number(l, 11) != 0};
        vec_push(&s->peers, one);
        p = &s->peers.v[s->peers.n - 1];
        p->weight = status_number(l, 4);
    }
    if (!str_eq(l->field[5], STR("up"))) {
        p->state = l->field[5];
    }
    p->in_flight += status_number(l, 6);
    p->idle += status_number(l, 7);
    p->attempts += status_number(l, 8);
    p->failures += status_number(l, 9);
}

static void status_add_wait(status *s, const struct status_line *l)
{
    for (uint32_t i = 0; i < s->waits.n; i++) {
        if (str_eq(s->waits.v[i].name, l->field[1])) {
            s->waits.v[i].count += status_number(l, 2);
            return;
        }
    }
    struct status_wait one = {l->field[1], status_number(l, 2)};
    vec_push(&s->waits, one);
}

static void status_add_line(status *s, struct status_worker *w, const struct status_line *l)
{
    if (str_eq(l->field[0], STR("gen")) && l->n == 7) {
        status_add_generation(s, l);
    } else if (str_eq(l->field[0], STR("peer")) && l->n == 12) {
        status_add_peer(s, l);
    } else if (str_eq(l->field[0], STR("wait")) && l->n == 3) {
        status_add_wait(s, l);
    } else if (str_eq(l->field[0], STR("front")) && l->n == 7) {
        w->connections = status_number(l, 1);
        w->idle = status_number(l, 2);
        w->requests = status_number(l, 3);
        w->tunnels = status_number(l, 4);
        w->accepted = status_number(l, 5);
        w->refused = status_number(l, 6);
    }
}

void status_add(status *s, const crew_worker *w, int fd)
{
    struct stat st;
    struct status_worker one = {.pid = w->pid};
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0) {
        return;
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        return;
    }
    str rest = pool_dup(&s->pool, str_of(map, (size_t)st.st_size)), line;
    munmap(map, (size_t)st.st_size);
    while (str_split(&rest, '\n', &line)) {
        struct status_line l = {.n = 0};
        while (l.n < STATUS_FIELDS && str_split(&line, '\t', &l.field[l.n])) {
            l.n++;
        }
        if (l.n > 0) {
            status_add_line(s, &one, &l);
        }
    }
    vec_push(&s->workers, one);
}
