/* log_cache.c — see log_cache.h. */
#include "flow/log_cache.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "flow/log_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct item {
    list node; /* the latest used first */
    char *path;
    int fd; /* -1: not used often enough yet */
    int64_t uses, judged_ms, used_ms;
};

struct log_cache {
    struct log_cache_args a;
    map items;
    list used;
};

log_cache *log_cache_new(const struct log_cache_args *a)
{
    log_cache *c = calloc(1, sizeof *c);
    REQUIRE(c != NULL);
    c->a = *a;
    map_init(&c->items);
    list_init(&c->used);
    return c;
}

static void let_go(struct item *it)
{
    if (it->fd >= 0) {
        close(it->fd);
        it->fd = -1;
    }
}

static void forget(log_cache *c, struct item *it)
{
    map_remove(&c->items, str_c(it->path));
    list_remove(&it->node);
    let_go(it);
    free(it->path);
    free(it);
}

void log_cache_free(log_cache *c)
{
    if (!c) {
        return;
    }
    LIST_EACH_SAFE(at, &c->used)
    {
        forget(c, list_item(at, struct item, node));
    }
    map_fini(&c->items);
    free(c);
}

/* Makes room for one more, and lets go of what nobody wrote to. */
static void tidy(log_cache *c, int64_t now)
{
    while (!list_is_empty(&c->used)) {
        struct item *last = list_item(c->used.prev, struct item, node);
        if (c->items.n < c->a.max && now - last->used_ms <= c->a.unused_ms) {
            return;
        }
        forget(c, last);
    }
}

static void add(log_cache *c, const char *path, int fd, int64_t now)
{
    tidy(c, now);
    struct item *it = calloc(1, sizeof *it);
    char *copy = strdup(path);
    REQUIRE(it && copy);
    *it = (struct item){.path = copy, .fd = fd, .uses = 1, .judged_ms = now, .used_ms = now};
    list_push_front(&c->used, &it->node);
    map_put(&c->items, str_c(it->path), it);
}

static void touch(log_cache *c, struct item *it, int64_t now)
{
    it->uses = now - it->used_ms > c->a.unused_ms ? 1 : it->uses + 1;
    it->used_ms = now;
    list_remove(&it->node);
    list_push_front(&c->used, &it->node);
}

static bool is_still_there(const struct item *it)
{
    struct stat a, b;
    return stat(it->path, &a) == 0 && fstat(it->fd, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static void judge(const log_cache *c, struct item *it, int64_t now)
{
    if (it->fd < 0 || now - it->judged_ms <= c->a.unseen_ms) {
        return;
    }
    it->judged_ms = now;
    if (!is_still_there(it)) {
        let_go(it);
    }
}

/* The item with its file open; ERR_* when that cannot be opened: then it is not remembered, and nothing else makes room for it. */
static int find(log_cache *c, const char *path, struct item **out)
{
    int64_t now = clock_ms();
    struct item *it = map_get(&c->items, str_c(path));
    if (it) {
        judge(c, it, now);
        touch(c, it, now);
    }
    if (!it || it->fd < 0) {
        int fd = log_file_once_open(path);
        if (fd < 0) {
            int saved = errno;
            if (it) {
                forget(c, it);
            }
            errno = saved;
            return fd;
        }
        if (it) {
            it->fd = fd;
            it->judged_ms = now;
        } else {
            add(c, path, fd, now);
        }
    }
    *out = list_item(c->used.next, struct item, node);
    return 0;
}

int log_cache_write(log_cache *c, const char *path, str line)
{
    struct item *it;
    int rc = find(c, path, &it);
    if (rc < 0) {
        return rc;
    }
    rc = log_file_once_write(it->fd, line);
    if (it->uses < c->a.min_uses) {
        int saved = errno;
        let_go(it);
        errno = saved;
    }
    return rc;
}
