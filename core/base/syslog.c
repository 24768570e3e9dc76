/* syslog.c — see syslog.h. Names are parsed where they are used: what is written is far slower than that. */
#include "base/syslog.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SYSLOG_FACILITY = 23 /* local7 */, SYSLOG_SEVERITY = 6 /* info */ };

static const char *const facilities[] = {"kern",   "user",   "mail",   "daemon", "auth",   "intern", "lpr",    "news",
                                         "uucp",   "clock",  "authpriv", "ftp",  "ntp",    "audit",  "alert",  "cron",
                                         "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"};
static const char *const severities[] = {"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"};

struct syslog_parts {
    str server, tag;
    int facility, severity;
    bool nohostname;
    const char *wrong; /* NULL: fine */
};

static int syslog_word(const char *const *words, int n, str word)
{
    for (int i = 0; i < n; i++) {
        if (str_eq(word, str_c(words[i]))) {
            return i;
        }
    }
    return -1;
}

static bool syslog_tag_is_fine(str tag)
{
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_')) {
            return false;
        }
    }
    return tag.n > 0 && tag.n <= 32;
}

static void syslog_take(struct syslog_parts *s, str one)
{
    if (str_has_prefix(one, STR("server="))) {
        s->server = str_from(one, 7);
    } else if (str_has_prefix(one, STR("facility="))) {
        s->facility = syslog_word(facilities, ARRAY_LEN(facilities), str_from(one, 9));
        s->wrong = s->facility < 0 ? "unknown syslog facility" : s->wrong;
    } else if (str_has_prefix(one, STR("severity="))) {
        s->severity = syslog_word(severities, ARRAY_LEN(severities), str_from(one, 9));
        s->wrong = s->severity < 0 ? "unknown syslog severity" : s->wrong;
    } else if (str_has_prefix(one, STR("tag="))) {
        s->tag = str_from(one, 4);
        s->wrong = syslog_tag_is_fine(s->tag) ? s->wrong : "syslog \"tag\" may have 32 letters, digits and \"_\"";
    } else if (str_eq(one, STR("nohostname"))) {
        s->nohostname = true;
    } else {
        s->wrong = "unknown syslog parameter";
    }
}

static struct syslog_parts syslog_parse(str name)
{
    struct syslog_parts s = {STR_EMPTY, STR("nginx"), SYSLOG_FACILITY, SYSLOG_SEVERITY, false, NULL};
    str rest = str_from(name, 7), one;
    while (str_split(&rest, ',', &one)) {
        syslog_take(&s, one);
    }
    if (s.server.n == 0) {
        s.wrong = "no syslog server specified";
    }
    return s;
}

bool syslog_is(str name)
{
    return str_has_prefix(name, STR("syslog:"));
}

int syslog_check(str name, char *err, size_t errcap)
{
    struct syslog_parts s = syslog_parse(name);
    if (s.wrong) {
        snprintf(err, errcap, "%s in \"%.*s\"", s.wrong, STR_ARG(name));
        return ERR_CONF;
    }
    return 0;
}

static int syslog_connect(int family, const struct sockaddr *sa, socklen_t len)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, sa, len) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int syslog_connect_unix(str path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof un.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(un.sun_path, path.p, path.n);
    return syslog_connect(AF_UNIX, (const struct sockaddr *)&un, sizeof un);
}

/* "host", "host:port", "[::1]:port"; the port is 514 unless said. */
static int syslog_connect_udp(str server)
{
    char host[256], port[16] = "514";
    size_t end = server.n, from = 0, colon = server.n;
    while (colon > 0 && server.p[colon - 1] != ':' && server.p[colon - 1] != ']') {
        colon--;
    }
    if (colon > 0 && server.p[colon - 1] == ':') {
        end = colon - 1;
        snprintf(port, sizeof port, "%.*s", (int)(server.n - colon), server.p + colon);
    }
    if (end > 1 && server.p[0] == '[' && server.p[end - 1] == ']') {
        from = 1;
        end--;
    }
    snprintf(host, sizeof host, "%.*s", (int)(end - from), server.p + from);
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = syslog_connect(found->ai_family, found->ai_addr, found->ai_addrlen);
    int saved = errno;
    freeaddrinfo(found);
    errno = saved;
    return fd;
}

int syslog_open(str name)
{
    struct syslog_parts s = syslog_parse(name);
    bool is_unix = str_has_prefix(s.server, STR("unix:"));
    int fd = is_unix ? syslog_connect_unix(str_from(s.server, 5)) : syslog_connect_udp(s.server);
    return fd < 0 ? err_from_errno(errno) : fd;
}

/* The names of severities count from the worst, levels from the least. */
size_t syslog_prefix(str name, int level, char *buf, size_t cap)
{
    struct syslog_parts s = syslog_parse(name);
    int severity = level < 0 ? s.severity : (int)ARRAY_LEN(severities) - 1 - level;
    char host[256] = "", when[32];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(when, sizeof when, "%b %e %H:%M:%S", &tm);
    if (!s.nohostname && (gethostname(host, sizeof host - 2) < 0 || !host[0])) {
        strcpy(host, "localhost");
    }
    int n = snprintf(buf, cap, "<%d>%s %s%s%.*s: ", s.facility * 8 + severity, when, host, host[0] ? " " : "", STR_ARG(s.tag));
    return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}
