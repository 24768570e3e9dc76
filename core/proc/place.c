/* place.c — see place.h. */
#include "proc/place.h"

#include "base/err.h"
#include "base/str.h"
#include "tls/digest.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int place_folder(char *buf, size_t cap)
{
    const char *run = getenv("MOONGATE_RUN"), *xdg = getenv("XDG_RUNTIME_DIR");
    int n = run && *run          ? snprintf(buf, cap, "%s", run)
            : geteuid() == 0     ? snprintf(buf, cap, "/run/moongate")
            : xdg && *xdg == '/' ? snprintf(buf, cap, "%s/moongate", xdg)
                                 : snprintf(buf, cap, "/tmp/moongate-%u", (unsigned)geteuid());
    return n > 0 && (size_t)n < cap ? 0 : ERR_INVALID;
}

/* The first 16 hex digits of a configuration's hash. */
static int place_digits(const recipe *r, char hex[17])
{
    uint8_t sum[DIGEST_MAX] = {0};
    digest *d = digest_new(STR("sha256"), STR_EMPTY);
    if (!d) {
        return ERR_INVALID;
    }
    if (r->path) {
        digest_update(d, str_c(r->path));
    }
    for (int i = 0; i < r->npairs; i++) {
        digest_update(d, STR("\n"));
        digest_update(d, str_c(r->pairs[i]));
    }
    if (digest_final(d, sum, sizeof sum) == 0) {
        return ERR_INVALID;
    }
    snprintf(hex, 17, "%02x%02x%02x%02x%02x%02x%02x%02x", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7]);
    return 0;
}

int place_of(const recipe *r, char *buf, size_t cap)
{
    char folder[PLACE_MAX], hex[17];
    if (place_folder(folder, sizeof folder) < 0 || place_digits(r, hex) < 0) {
        return ERR_INVALID;
    }
    int n = snprintf(buf, cap, "%s/%s.sock", folder, hex);
    return n > 0 && (size_t)n < cap ? 0 : ERR_INVALID;
}

static int place_state_folder(char *buf, size_t cap)
{
    const char *said = getenv("MOONGATE_STATE"), *systemd = getenv("STATE_DIRECTORY");
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    said = said && *said == '/' ? said : systemd && *systemd == '/' ? systemd : NULL;
    int n = said                   ? snprintf(buf, cap, "%.*s", (int)strcspn(said, ":"), said) /* systemd may name several */
            : geteuid() == 0       ? snprintf(buf, cap, "/var/lib/moongate")
            : xdg && *xdg == '/'   ? snprintf(buf, cap, "%s/moongate", xdg)
            : home && *home == '/' ? snprintf(buf, cap, "%s/.local/state/moongate", home)
                                   : -1;
    return n > 0 && (size_t)n < cap ? 0 : ERR_INVALID;
}

void place_make_above(const char *path)
{
    char folder[4096];
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder) {
        return;
    }
    for (char *p = folder + 1; *p; p++) {
        if (*p == '/') {
            *p = '\0';
            (void)!mkdir(folder, 0700);
            *p = '/';
        }
    }
}

int place_of_state(const recipe *r, char *buf, size_t cap)
{
    char folder[1024], hex[17];
    if (place_state_folder(folder, sizeof folder) < 0 || place_digits(r, hex) < 0) {
        return ERR_INVALID;
    }
    int n = snprintf(buf, cap, "%s/%s.upstreams", folder, hex);
    return n > 0 && (size_t)n < cap ? 0 : ERR_INVALID;
}

int place_make_folder(void)
{
    char folder[PLACE_MAX];
    struct stat st;
    int rc = place_folder(folder, sizeof folder);
    if (rc < 0) {
        return rc;
    }
    if (mkdir(folder, geteuid() == 0 ? 0755 : 0700) < 0 && errno != EEXIST) {
        return err_from_errno(errno);
    }
    /* In a world-writable /tmp somebody else may have been first. */
    if (lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
        return ERR_INVALID;
    }
    return 0;
}

static bool place_answers(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool yes = fd >= 0 &&
               snprintf(un.sun_path, sizeof un.sun_path, "%s", path) < (int)sizeof un.sun_path &&
               connect(fd, (struct sockaddr *)&un, sizeof un) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return yes;
}

int place_find_only(char *buf, size_t cap)
{
    char folder[PLACE_MAX], path[PLACE_MAX + 32];
    int found = 0;
    DIR *dir = place_folder(folder, sizeof folder) < 0 ? NULL : opendir(folder);
    if (!dir) {
        return ERR_NOT_FOUND;
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        size_t n = strlen(e->d_name);
        if (n != 21 || strcmp(e->d_name + 16, ".sock") != 0) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%.*s", folder, 21, e->d_name);
        if (place_answers(path)) {
            found++;
            snprintf(buf, cap, "%s", path);
        }
    }
    closedir(dir);
    return found == 1 ? 0 : found == 0 ? ERR_NOT_FOUND : ERR_LIMIT;
}
