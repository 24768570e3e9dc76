/* ports.c — see ports.h. */
#include "proc/ports.h"

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "net/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void ports_key(const str *addresses, int n, char *buf, size_t cap)
{
    int seen = 1;
    for (int i = 0; i < n; i++) {
        seen += str_eq(addresses[i], addresses[n]);
    }
    if (seen > 1) {
        snprintf(buf, cap, "%.*s#%d", STR_ARG(addresses[n]), seen);
    } else {
        snprintf(buf, cap, "%.*s", STR_ARG(addresses[n]));
    }
}

void ports_init(ports *p)
{
    *p = (ports){{NULL, 0, 0}};
}

static void ports_free_one(port *one, bool unlink_file)
{
    if (one->fd >= 0) {
        close(one->fd);
    }
    if (unlink_file && one->address && strncmp(one->address, "unix:", 5) == 0) {
        unlink(one->address + 5);
    }
    free(one->key);
    free(one->address);
    free(one);
}

void ports_fini(ports *p, bool unlink_files)
{
    for (uint32_t i = 0; i < p->all.n; i++) {
        ports_free_one(p->all.v[i], unlink_files);
    }
    vec_fini(&p->all);
}

port *ports_find(const ports *p, const char *key)
{
    for (uint32_t i = 0; i < p->all.n; i++) {
        if (strcmp(p->all.v[i]->key, key) == 0) {
            return p->all.v[i];
        }
    }
    return NULL;
}

static port *ports_add(ports *p, const char *key, str address, int fd)
{
    port *one = calloc(1, sizeof *one);
    REQUIRE(one);
    one->key = strdup(key);
    one->address = strndup(address.p, address.n);
    REQUIRE(one->key && one->address);
    one->fd = fd;
    vec_push(&p->all, one);
    return one;
}

static int ports_open_one(ports *p, const char *key, str address, const struct port_wish *wish, char *err,
                          size_t errcap)
{
    port *one = ports_add(p, key, address, -1);
    one->fresh = true;
    struct listen_args args = {.backlog = wish->backlog, .v6only = wish->v6only};
    if (addr_parse(str_c(one->address), 0, &args.at) < 0) {
        snprintf(err, errcap, "listen %s: not an address", one->address);
        return ERR_CONF;
    }
    one->fd = listen_open(&args);
    if (one->fd < 0) {
        int rc = one->fd;
        one->fd = -1;
        char why[128];
        int errnum = errno;
        const char *text = strerror_r(errnum, why, sizeof why);
        if (log_style_now() == LOG_STYLE_NGINX) {
            snprintf(err, errcap, "bind() to %s failed (%d: %s)", one->address, errnum, text);
        } else {
        snprintf(err, errcap, "listen %s: %s%s", one->address, text,
                 errnum == EADDRINUSE ? " (another process listens there)" : "");
        }
        /* A unix socket that answers is somebody's: it must not be removed with our entry. */
        free(one->address);
        one->address = NULL;
        return rc;
    }
    if (args.at.unix_path && chmod(args.at.unix_path, 0666) < 0) {
        log_warn("listen %s: cannot be opened to all users", one->address);
    }
    addr_print(&args.at, one->shown, sizeof one->shown);
    return 0;
}

void ports_drop_fresh(ports *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->all.n; i++) {
        if (p->all.v[i]->fresh) {
            ports_free_one(p->all.v[i], true);
        } else {
            p->all.v[kept++] = p->all.v[i];
        }
    }
    p->all.n = kept;
}

int ports_open(ports *p, const str *addresses, const struct port_wish *wishes, int n, char *err, size_t errcap)
{
    for (int i = 0; i < n; i++) {
        char key[256];
        ports_key(addresses, i, key, sizeof key);
        if (ports_find(p, key)) {
            continue;
        }
        int rc = ports_open_one(p, key, addresses[i], &wishes[i], err, errcap);
        if (rc < 0) {
            ports_drop_fresh(p);
            return rc;
        }
    }
    return 0;
}

void ports_adopt(ports *p, str key, int fd)
{
    char text[256];
    snprintf(text, sizeof text, "%.*s", STR_ARG(key));
    port *one = ports_find(p, text);
    if (one) { /* sent twice: the newer descriptor is as good */
        close(fd);
        return;
    }
    (void)ports_add(p, text, key, fd);
}

void ports_inherit(ports *p, str key, int fd, const struct sockaddr *at, unsigned len)
{
    addr a;
    ports_adopt(p, key, fd);
    port *one = p->all.v[p->all.n - 1];
    char *hash = strrchr(one->address, '#'); /* the key of a text that occurs twice */
    if (hash && strncmp(one->address, "unix:", 5) != 0) {
        *hash = 0;
    }
    addr_from_sockaddr(&a, at, len);
    one->shown[addr_print(&a, one->shown, sizeof one->shown - 1)] = 0;
}

void ports_keep(ports *p, const str *addresses, int n, bool unlink_files)
{
    for (uint32_t i = 0; i < p->all.n; i++) {
        p->all.v[i]->wanted = false;
    }
    for (int i = 0; i < n; i++) {
        char key[256];
        ports_key(addresses, i, key, sizeof key);
        port *one = ports_find(p, key);
        if (one) {
            one->wanted = true;
            one->fresh = false;
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->all.n; i++) {
        if (p->all.v[i]->wanted) {
            p->all.v[kept++] = p->all.v[i];
        } else {
            ports_free_one(p->all.v[i], unlink_files);
        }
    }
    p->all.n = kept;
}
