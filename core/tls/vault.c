/* vault.c — see vault.h. What is kept is a file's bytes and, once a handshake has needed them, what they parse to. */
#include "tls/vault.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "tls/cert.h"
#include "tls/stream_tls_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20, NAME_BYTES = 4096 };

/* One file as it was. */
struct item {
    list node;       /* the latest used first */
    str key;         /* "c" or "k" and the path; owned */
    str pem;         /* owned */
    struct tls_cert parsed; /* of a chain: leaf and chain, of a key: key; all NULL: not yet */
    ino_t inode;
    struct timespec changed;
    int64_t judged_ms, used_ms;
};

struct tls_vault {
    struct tls_vault_args a;
    char *folder;
    map items;
    list used;
};

tls_vault *tls_vault_new(const struct tls_vault_args *a)
{
    tls_vault *v = calloc(1, sizeof *v);
    REQUIRE(v != NULL);
    v->a = *a;
    v->folder = strndup(a->folder.n ? a->folder.p : "", a->folder.n);
    REQUIRE(v->folder != NULL);
    map_init(&v->items);
    list_init(&v->used);
    return v;
}

static void item_free(struct item *it)
{
    tls_cert_fini(&it->parsed);
    OPENSSL_clear_free((void *)(uintptr_t)it->pem.p, it->pem.n + 1);
    free((void *)(uintptr_t)it->key.p);
    free(it);
}

static void forget(tls_vault *v, struct item *it)
{
    map_remove(&v->items, it->key);
    list_remove(&it->node);
    item_free(it);
}

void tls_vault_free(tls_vault *v)
{
    if (!v) {
        return;
    }
    LIST_EACH_SAFE(at, &v->used)
    {
        forget(v, list_item(at, struct item, node));
    }
    map_fini(&v->items);
    free(v->folder);
    free(v);
}

/* ---- files */

static int read_all(int fd, size_t size, str *out)
{
    char *buf = OPENSSL_malloc(size + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (buf && n < size && got > 0) {
        got = read(fd, buf + n, size - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (!buf || got < 0) {
        OPENSSL_free(buf);
        return buf ? ERR_IO : ERR_MEM;
    }
    buf[n] = '\0';
    *out = str_of(buf, n);
    return 0;
}

static int read_file(const char *path, str *out, struct stat *st, char *err, size_t errcap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 || fstat(fd, st) < 0 ? ERR_NOT_FOUND : 0;
    if (rc == 0 && (!S_ISREG(st->st_mode) || st->st_size > PEM_MAX)) {
        errno = S_ISREG(st->st_mode) ? EFBIG : EINVAL;
        rc = ERR_IO;
    }
    if (rc == 0) {
        rc = read_all(fd, (size_t)st->st_size, out);
    }
    if (rc < 0) {
        snprintf(err, errcap, "%s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static bool is_same(const struct item *it, const struct stat *st)
{
    return it->inode == st->st_ino && it->changed.tv_sec == st->st_mtim.tv_sec && it->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static struct item *item_new(const char *path, bool is_key, char *err, size_t errcap)
{
    struct stat st;
    str pem;
    if (read_file(path, &pem, &st, err, errcap) < 0) {
        return NULL;
    }
    struct item *it = calloc(1, sizeof *it);
    size_t n = strlen(path);
    char *key = malloc(n + 2);
    REQUIRE(it && key);
    key[0] = is_key ? 'k' : 'c';
    memcpy(key + 1, path, n + 1);
    it->key = str_of(key, n + 1);
    it->pem = pem;
    it->inode = st.st_ino;
    it->changed = st.st_mtim;
    it->judged_ms = it->used_ms = clock_ms();
    list_init(&it->node);
    return it;
}

/* ---- what is kept */

/* RFC 7468 §11 and the older header of RFC 1421 §4.6.1.1. */
static bool is_encrypted(str pem)
{
    return str_search(pem, STR("ENCRYPTED")) < pem.n;
}

static void keep(tls_vault *v, struct item *it)
{
    int64_t now = clock_ms();
    while (!list_is_empty(&v->used)) {
        struct item *last = list_item(v->used.prev, struct item, node);
        if (v->items.n < v->a.max && now - last->used_ms <= v->a.inactive_ms) {
            break;
        }
        forget(v, last);
    }
    map_put(&v->items, it->key, it);
    list_push_front(&v->used, &it->node);
}

static struct item *kept(tls_vault *v, const char *path, bool is_key)
{
    char key[1 + NAME_BYTES];
    int n = snprintf(key, sizeof key, "%c%s", is_key ? 'k' : 'c', path);
    struct item *it = map_get(&v->items, str_of(key, (size_t)n));
    if (!it) {
        return NULL;
    }
    int64_t now = clock_ms();
    if (now - it->judged_ms > v->a.valid_ms) {
        struct stat st;
        if (stat(path, &st) < 0 || !is_same(it, &st)) {
            forget(v, it);
            return NULL;
        }
        it->judged_ms = now;
    }
    it->used_ms = now;
    list_remove(&it->node);
    list_push_front(&v->used, &it->node);
    return it;
}

static bool path_of(const tls_vault *v, str name, char *path)
{
    bool whole = name.n && name.p[0] == '/';
    int n = snprintf(path, NAME_BYTES, "%s%.*s", whole ? "" : v->folder, STR_ARG(name));
    return n < NAME_BYTES && !memchr(name.p, 0, name.n);
}

void tls_vault_forget(tls_vault *v, str cert, str key)
{
    const str names[2] = {cert, key};
    for (int i = 0; i < 2; i++) {
        char path[NAME_BYTES];
        struct item *it = v->a.max && path_of(v, names[i], path) ? kept(v, path, i == 1) : NULL;
        if (it) {
            forget(v, it);
        }
    }
}

/* *own: nobody keeps it, the caller frees it. */
static struct item *find(tls_vault *v, str name, bool is_key, bool *own, char *err, size_t errcap)
{
    char path[NAME_BYTES];
    *own = false;
    if (!path_of(v, name, path)) {
        snprintf(err, errcap, "not a name of a file");
        return NULL;
    }
    struct item *it = v->a.max ? kept(v, path, is_key) : NULL;
    if (it) {
        return it;
    }
    it = item_new(path, is_key, err, errcap);
    *own = it && (!v->a.max || (is_key && is_encrypted(it->pem)));
    if (it && !*own) {
        keep(v, it);
    }
    return it;
}

int tls_vault_bytes(tls_vault *v, str name, bool is_key, str *out, char *err, size_t errcap)
{
    bool own = false;
    bool is_data = str_has_prefix(name, STR("data:"));
    struct item *it = is_data ? NULL : find(v, name, is_key, &own, err, errcap);
    if (!is_data && !it) {
        return ERR_NOT_FOUND;
    }
    str from = is_data ? str_from(name, 5) : it->pem;
    char *copy = malloc(from.n + 1);
    REQUIRE(copy != NULL);
    memcpy(copy, from.p, from.n);
    copy[from.n] = '\0';
    *out = str_of(copy, from.n);
    if (own) {
        item_free(it);
    }
    return 0;
}

/* ---- handshakes */

static int parse(const tls_vault *v, str pem, bool is_key, struct tls_cert *out)
{
    return is_key ? tls_cert_key(pem, v->a.passwords, v->a.npasswords, out) : tls_cert_chain(pem, out);
}

/* Adds a chain or a key to `out`, which holds references of its own. */
static int fetch_part(tls_vault *v, str name, bool is_key, struct tls_cert *out, char *err, size_t errcap)
{
    if (str_has_prefix(name, STR("data:"))) {
        int rc = parse(v, str_from(name, 5), is_key, out);
        if (rc < 0) {
            snprintf(err, errcap, "%s", tls_reason());
        }
        return rc;
    }
    bool own;
    struct item *it = find(v, name, is_key, &own, err, errcap);
    if (!it) {
        return ERR_NOT_FOUND;
    }
    int rc = it->parsed.leaf || it->parsed.key ? 0 : parse(v, it->pem, is_key, &it->parsed);
    if (rc < 0) {
        snprintf(err, errcap, "%s", tls_reason());
    } else {
        tls_cert_share(&it->parsed, out);
    }
    if (own) {
        item_free(it);
    } else if (rc < 0) {
        forget(v, it);
    }
    return rc;
}

static int try_pair(tls_vault *v, const struct stream_tls *st, str cert, str key, char *err, size_t errcap)
{
    struct tls_cert pair = {0};
    char why[200] = "";
    int rc = fetch_part(v, cert, false, &pair, why, sizeof why);
    if (rc < 0) {
        snprintf(err, errcap, "cannot load certificate \"%.*s\": %s", STR_ARG(cert), why);
    } else if ((rc = fetch_part(v, key, true, &pair, why, sizeof why)) < 0) {
        snprintf(err, errcap, "cannot load certificate key \"%.*s\": %s", STR_ARG(key), why);
    } else if (SSL_use_cert_and_key(st->ssl, pair.leaf, pair.key, pair.chain, 1) != 1) {
        snprintf(err, errcap, "cannot use certificate \"%.*s\" with key \"%.*s\": %s", STR_ARG(cert), STR_ARG(key), tls_reason());
        rc = ERR_TLS;
    }
    tls_cert_fini(&pair);
    ERR_clear_error();
    return rc;
}

int tls_vault_present(tls_vault *v, stream *s, str cert, str key, char *err, size_t errcap)
{
    int rc = try_pair(v, s->tls, cert, key, err, errcap);
    if (rc == ERR_TLS && v->a.max) { /* what is kept may be halves of different age */
        tls_vault_forget(v, cert, key);
        rc = try_pair(v, s->tls, cert, key, err, errcap);
    }
    return rc;
}
