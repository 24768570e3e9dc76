/* seg.c — segments: a list of handles per process over sealed memfds.
 *
 * The head of a segment carries a random identity, so that a worker which receives a descriptor can
 * tell "the one I inherited" from "a new one with the same name". The size is sealed: a mapping can
 * then never be cut under a reader (SIGBUS). The kind is stored last and atomically; it says
 * "formatted". */
#include "shm/seg.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEG_VERSION = 1, SEG_DATA_AT = 128 };

static const uint64_t SEG_MAGIC = 0x314745535f474d2eULL;

/* At offset 0 of the mapping. */
typedef struct seg_head {
    uint64_t magic;
    uint32_t version;
    uint32_t kind_version;
    uint32_t kind; /* SEG_KIND_NONE until formatted */
    uint32_t reserved;
    uint64_t size;
    uint64_t identity;
    char name[SEG_NAME_MAX + 1];
} seg_head;

struct seg {
    list link;
    seg_head *head;
    size_t size;
    int fd;
    uint32_t refs;
};

_Static_assert(sizeof(seg_head) <= SEG_DATA_AT, "segment head grew over its data");

/* Oldest first. Per process; a child inherits its parent's list over fork. */
static list seg_all = {&seg_all, &seg_all};

static bool seg_is_name(str name)
{
    if (name.n == 0 || name.n > SEG_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static size_t seg_round(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

static seg *seg_lookup(str name, size_t size)
{
    for (list *it = seg_all.prev; it != &seg_all; it = it->prev) {
        seg *s = list_item(it, seg, link);
        if (str_eq(seg_name(s), name) && (size == 0 || s->size == size)) {
            return s;
        }
    }
    return NULL;
}

/* Takes fd and mapping. NULL when memory is out (both are released then). */
static seg *seg_new(void *map, size_t size, int fd)
{
    seg *s = calloc(1, sizeof *s);
    if (s == NULL) {
        munmap(map, size);
        close(fd);
        return NULL;
    }
    s->head = map;
    s->size = size;
    s->fd = fd;
    s->refs = 1;
    list_push_back(&seg_all, &s->link);
    return s;
}

static int seg_create(str name, size_t size, seg **out)
{
    char label[SEG_NAME_MAX + 1] = {0};
    memcpy(label, name.p, name.n);
    int fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    void *map = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (map == MAP_FAILED) {
        int code = errno == ENOMEM ? ERR_MEM : err_from_errno(errno);
        close(fd);
        return code;
    }
    seg *s = seg_new(map, size, fd);
    if (s == NULL) {
        return ERR_MEM;
    }
    seg_head *h = s->head;
    memcpy(h->name, label, sizeof h->name);
    rand_secure(&h->identity, sizeof h->identity);
    h->size = size;
    h->version = SEG_VERSION;
    __atomic_store_n(&h->magic, SEG_MAGIC, __ATOMIC_RELEASE);
    *out = s;
    return 1;
}

int seg_open(str name, size_t size, seg **out)
{
    *out = NULL;
    if (!seg_is_name(name) || size == 0 || size > (size_t)INT64_MAX / 2) {
        return ERR_INVALID;
    }
    size = seg_round(size < SEG_DATA_AT ? SEG_DATA_AT : size);
    seg *known = seg_lookup(name, size);
    if (known != NULL) {
        *out = seg_ref(known);
        return 0;
    }
    return seg_create(name, size, out);
}

static bool seg_head_is_valid(const seg_head *h, str name, size_t size)
{
    return __atomic_load_n(&h->magic, __ATOMIC_ACQUIRE) == SEG_MAGIC && h->version == SEG_VERSION &&
           h->size == size && h->name[SEG_NAME_MAX] == '\0' && str_eq(str_c(h->name), name);
}

static seg *seg_by_identity(uint64_t identity)
{
    LIST_EACH(it, &seg_all)
    {
        seg *s = list_item(it, seg, link);
        if (s->head->identity == identity) {
            return s;
        }
    }
    return NULL;
}

/* A file shorter than the mapping would fault at the first touch. */
static bool seg_fd_has_size(int fd, size_t size)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int seg_adopt(str name, int fd, size_t size, seg **out)
{
    *out = NULL;
    if (!seg_is_name(name) || size < SEG_DATA_AT || !seg_fd_has_size(fd, size)) {
        close(fd);
        return ERR_INVALID;
    }
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        int code = errno == ENOMEM ? ERR_MEM : err_from_errno(errno);
        close(fd);
        return code;
    }
    const seg_head *h = map;
    bool valid = seg_head_is_valid(h, name, size);
    seg *known = valid ? seg_by_identity(h->identity) : NULL;
    if (!valid || known != NULL) {
        munmap(map, size);
        close(fd);
        *out = known != NULL ? seg_ref(known) : NULL;
        return valid ? 0 : ERR_INVALID;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    *out = seg_new(map, size, fd);
    return *out != NULL ? 0 : ERR_MEM;
}

seg *seg_ref(seg *s)
{
    s->refs++;
    return s;
}

void seg_close(seg *s)
{
    if (s == NULL || --s->refs > 0) {
        return;
    }
    list_remove(&s->link);
    munmap(s->head, s->size);
    close(s->fd);
    free(s);
}

seg *seg_find(str name)
{
    return seg_lookup(name, 0);
}

void seg_each(void (*fn)(void *arg, seg *s), void *arg)
{
    LIST_EACH(it, &seg_all)
    {
        fn(arg, list_item(it, seg, link));
    }
}

str seg_name(const seg *s)
{
    return str_c(s->head->name);
}

size_t seg_size(const seg *s)
{
    return s->size;
}

int seg_fd(const seg *s)
{
    return s->fd;
}

void *seg_data(const seg *s)
{
    return (char *)s->head + SEG_DATA_AT;
}

size_t seg_data_size(const seg *s)
{
    return s->size - SEG_DATA_AT;
}

uint32_t seg_kind_of(const seg *s)
{
    return __atomic_load_n(&s->head->kind, __ATOMIC_ACQUIRE);
}

int seg_claim(seg *s, uint32_t kind, uint32_t version)
{
    uint32_t now = seg_kind_of(s);
    if (now == SEG_KIND_NONE) {
        return 1;
    }
    return now == kind && s->head->kind_version == version ? 0 : ERR_INVALID;
}

void seg_ready(seg *s, uint32_t kind, uint32_t version)
{
    REQUIRE(kind != SEG_KIND_NONE);
    s->head->kind_version = version;
    __atomic_store_n(&s->head->kind, kind, __ATOMIC_RELEASE);
}
