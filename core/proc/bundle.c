/* bundle.c — the format: a header, then entries {kind, key length, value length, key, 0, value, 0},
 * in the order they were added. Native byte order: a bundle never leaves the machine nor outlives
 * the master. The hash of an entry covers its lengths, so two bundles cannot be made equal by
 * moving bytes from a key to a value. */
#include "proc/bundle.h"

#include "base/err.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/vec.h"
#include "tls/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct bundle_header {
    char magic[8];
    uint64_t bytes; /* of entries */
    char hash[BUNDLE_HASH_LEN];
};

struct bundle_entry {
    uint32_t kind, key_len;
    uint64_t value_len;
};

struct bundle_item {
    enum bundle_kind kind;
    str key, value;
};

struct bundle_draft {
    pool pool;
    VEC(struct bundle_item) items;
    map index[BUNDLE_KINDS];
};

struct bundle {
    int fd;
    uint32_t refs;
    char *data; /* the mapping */
    size_t size;
    map index[BUNDLE_KINDS]; /* key → the entry in the mapping */
    char hash[BUNDLE_HASH_LEN + 1];
};

static const char bundle_magic[8] = "MGBUND1";

bundle_draft *bundle_draft_new(void)
{
    bundle_draft *d = calloc(1, sizeof *d);
    if (!d) {
        return NULL;
    }
    pool_init(&d->pool, 65536);
    for (int i = 0; i < BUNDLE_KINDS; i++) {
        map_init(&d->index[i]);
    }
    return d;
}

void bundle_draft_free(bundle_draft *d)
{
    if (!d) {
        return;
    }
    for (int i = 0; i < BUNDLE_KINDS; i++) {
        map_fini(&d->index[i]);
    }
    vec_fini(&d->items);
    pool_fini(&d->pool);
    free(d);
}

void bundle_add(bundle_draft *d, enum bundle_kind kind, str key, str value)
{
    if (kind != BUNDLE_FACT && map_get(&d->index[kind], key)) {
        return;
    }
    struct bundle_item item = {kind, pool_dup(&d->pool, key), pool_dup(&d->pool, value)};
    vec_push(&d->items, item);
    str *kept = pool_alloc(&d->pool, sizeof *kept);
    *kept = item.value;
    map_put(&d->index[kind], item.key, kept);
}

bool bundle_draft_find(const bundle_draft *d, enum bundle_kind kind, str key, str *value)
{
    const str *found = map_get(&d->index[kind], key);
    if (!found) {
        return false;
    }
    *value = *found;
    return true;
}

static int bundle_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return err_from_errno(errno);
        }
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int bundle_write_item(int fd, const struct bundle_item *item, digest *sum)
{
    struct bundle_entry e = {(uint32_t)item->kind, (uint32_t)item->key.n, item->value.n};
    /* pool_dup leaves a NUL behind both: readers get C strings for free. */
    struct {
        const void *p;
        size_t n;
    } parts[3] = {
        {&e, sizeof e}, {item->key.p, item->key.n + 1}, {item->value.p, item->value.n + 1}};
    for (int i = 0; i < 3; i++) {
        int rc = bundle_write_all(fd, parts[i].p, parts[i].n);
        if (rc < 0) {
            return rc;
        }
        if (item->kind != BUNDLE_FACT) {
            digest_update(sum, str_of(parts[i].p, parts[i].n));
        }
    }
    return 0;
}

int bundle_draft_write(bundle_draft *d, int fd)
{
    struct bundle_header h = {.bytes = 0};
    memcpy(h.magic, bundle_magic, sizeof h.magic);
    digest *sum = digest_new(STR("sha256"), STR_EMPTY);
    if (!sum) {
        return ERR_MEM;
    }
    int rc = lseek(fd, (off_t)sizeof h, SEEK_SET) < 0 ? err_from_errno(errno) : 0;
    for (uint32_t i = 0; i < d->items.n && rc == 0; i++) {
        const struct bundle_item *item = &d->items.v[i];
        h.bytes += sizeof(struct bundle_entry) + item->key.n + item->value.n + 2;
        rc = bundle_write_item(fd, item, sum);
    }
    uint8_t raw[64];
    size_t n = digest_final(sum, raw, sizeof raw);
    for (size_t i = 0; i < n && i < BUNDLE_HASH_LEN / 2; i++) {
        static const char hex[] = "0123456789abcdef";
        h.hash[i * 2] = hex[raw[i] >> 4];
        h.hash[i * 2 + 1] = hex[raw[i] & 15];
    }
    if (rc == 0) {
        rc =
            lseek(fd, 0, SEEK_SET) < 0 ? err_from_errno(errno) : bundle_write_all(fd, &h, sizeof h);
    }
    return rc;
}

int bundle_memfd(void)
{
    int fd = memfd_create("moongate-bundle", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? err_from_errno(errno) : fd;
}

static bool bundle_entry_at(const char *data, size_t size, size_t at, struct bundle_item *item,
                            size_t *next)
{
    struct bundle_entry e;
    if (size - at < sizeof e) {
        return false;
    }
    memcpy(&e, data + at, sizeof e);
    size_t left = size - at - sizeof e;
    if (e.kind == 0 || e.kind >= BUNDLE_KINDS || (size_t)e.key_len + 2 > left ||
        e.value_len > left - e.key_len - 2) {
        return false;
    }
    const char *p = data + at + sizeof e;
    *item = (struct bundle_item){
        (enum bundle_kind)e.kind, {p, e.key_len}, {p + e.key_len + 1, (size_t)e.value_len}};
    *next = at + sizeof e + e.key_len + (size_t)e.value_len + 2;
    return true;
}

static int bundle_index(bundle *b)
{
    struct bundle_header h;
    if (b->size < sizeof h) {
        return ERR_INVALID;
    }
    memcpy(&h, b->data, sizeof h);
    if (memcmp(h.magic, bundle_magic, sizeof h.magic) != 0 || h.bytes != b->size - sizeof h) {
        return ERR_INVALID;
    }
    memcpy(b->hash, h.hash, BUNDLE_HASH_LEN);
    for (size_t at = sizeof h; at < b->size;) {
        struct bundle_item item;
        size_t next;
        if (!bundle_entry_at(b->data, b->size, at, &item, &next)) {
            return ERR_INVALID;
        }
        if (!map_get(&b->index[item.kind], item.key)) {
            map_put(&b->index[item.kind], item.key, b->data + at);
        }
        at = next;
    }
    return 0;
}

static bundle *bundle_refuse(bundle *b, char *err, size_t errcap, const char *why)
{
    snprintf(err, errcap, "configuration bundle: %s", why);
    bundle_unref(b);
    return NULL;
}

bundle *bundle_open(int fd, char *err, size_t errcap)
{
    bundle *b = calloc(1, sizeof *b);
    if (!b) {
        close(fd);
        snprintf(err, errcap, "configuration bundle: %s", err_text(ERR_MEM));
        return NULL;
    }
    b->fd = fd;
    b->refs = 1;
    for (int i = 0; i < BUNDLE_KINDS; i++) {
        map_init(&b->index[i]);
    }
    /* Without the seals a process that still holds the descriptor could change what workers run. */
    int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || ((seals & want) != want && fcntl(fd, F_ADD_SEALS, want) < 0)) {
        return bundle_refuse(b, err, errcap, "cannot be sealed");
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size <= 0) {
        return bundle_refuse(b, err, errcap, "is empty");
    }
    b->size = (size_t)st.st_size;
    b->data = mmap(NULL, b->size, PROT_READ, MAP_SHARED, fd, 0);
    if (b->data == MAP_FAILED) {
        b->data = NULL;
        return bundle_refuse(b, err, errcap, "cannot be mapped");
    }
    if (bundle_index(b) < 0) {
        return bundle_refuse(b, err, errcap, "is damaged");
    }
    return b;
}

bundle *bundle_ref(bundle *b)
{
    b->refs++;
    return b;
}

void bundle_unref(bundle *b)
{
    if (!b || --b->refs > 0) {
        return;
    }
    for (int i = 0; i < BUNDLE_KINDS; i++) {
        map_fini(&b->index[i]);
    }
    if (b->data) {
        munmap(b->data, b->size);
    }
    close(b->fd);
    free(b);
}

int bundle_fd(const bundle *b)
{
    return b->fd;
}

const char *bundle_hash(const bundle *b)
{
    return b->hash;
}

size_t bundle_size(const bundle *b)
{
    return b->size;
}

bool bundle_find(const bundle *b, enum bundle_kind kind, str key, str *value)
{
    const char *at = map_get(&b->index[kind], key);
    if (!at) {
        return false;
    }
    struct bundle_item item;
    size_t next;
    if (!bundle_entry_at(b->data, b->size, (size_t)(at - b->data), &item, &next)) {
        return false;
    }
    *value = item.value;
    return true;
}

bool bundle_next(const bundle *b, size_t *at, enum bundle_kind *kind, str *key, str *value)
{
    size_t from = *at ? *at : sizeof(struct bundle_header);
    struct bundle_item item;
    if (from >= b->size || !bundle_entry_at(b->data, b->size, from, &item, at)) {
        return false;
    }
    *kind = item.kind;
    *key = item.key;
    *value = item.value;
    return true;
}
