/* manners.c — see manners.h. */
#include "proc/manners.h"

#include "base/err.h"
#include "base/log.h"
#include "proc/daemon.h"
#include "proc/logs.h"
#include "base/version.h"
#include "tls/ctx.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Tools and test suites read this list: what nginx builds by default counts as present unless it is named here. */
static const char manners_configure[] =
    "--with-http_ssl_module --with-http_v2_module --with-http_realip_module --with-http_auth_request_module "
    "--with-http_stub_status_module --with-http_addition_module --with-http_sub_module --with-http_secure_link_module "
    "--with-http_gunzip_module --with-http_gzip_static_module "
    "--without-http-cache --without-http_fastcgi_module --without-http_uwsgi_module "
    "--without-http_scgi_module --without-http_memcached_module --without-http_empty_gif_module "
    "--without-http_browser_module --without-http_autoindex_module --without-http_userid_module "
    "--without-http_tunnel_module --without-http_upstream_sticky";

void manners_version(bool verbose, const char *share)
{
    printf("moongate/%s\n", MG_VERSION);
    if (verbose) {
        printf("nginx version: nginx/%s\n", MG_NGINX_VERSION);
        printf("built by gcc %s\nbuilt with %s\nTLS SNI support enabled\n", __VERSION__, tls_library());
        printf("configure arguments: %s --build=moongate/%s\nlibraries: %s\n", manners_configure, MG_VERSION, share ? share : "not found");
    }
}

void manners_open_log(command *c)
{
    const char *file = c->error_log;
    log_set_style(LOG_STYLE_NGINX);
    if (strcmp(c->error_log, "stderr") != 0 && log_open(c->error_log, LOG_NOTICE_) < 0) {
        c->error_log = c->log_is_default ? "stderr" : c->error_log;
        fprintf(stderr, "moongate: [alert] could not open error log file: open() \"%s\" failed (%d: %s)\n", file, errno,
                strerror(errno));
    }
}

/* "FILE:LINE:COLUMN: [warn] text" → the level, and the text alone. */
str manners_line(str line, enum log_level *level)
{
    size_t open = str_search(line, STR("[")), end = str_find(line, ']', open);
    int own = end < line.n ? log_level_of(str_of(line.p + open + 1, end - open - 1)) : -1;
    if (own < 0) {
        return line;
    }
    *level = (enum log_level)own;
    return str_trim(str_from(line, end + 1));
}

static void manners_say(enum log_level level, str text)
{
    fprintf(stderr, "moongate: [%s] %.*s\n", log_level_name(level), STR_ARG(text));
    if (log_path_now()) {
        log_write(level, "%.*s", STR_ARG(text));
    }
}

void manners_diagnostics(str text)
{
    enum log_level level = LOG_EMERG_;
    while (text.n > 0) {
        size_t end = str_find(text, '\n', 0);
        str line = str_of(text.p, end);
        text = str_from(text, end < text.n ? end + 1 : text.n);
        if (line.n > 0 && line.p[0] == ' ') { /* the line of the file that the one before is about */
            if (level >= LOG_WARN_) {
                fprintf(stderr, "%.*s\n", STR_ARG(line));
            }
            continue;
        }
        level = LOG_EMERG_;
        line = manners_line(line, &level);
        if (line.n > 0 && level >= LOG_WARN_) {
            manners_say(level, line);
        }
    }
}

/* Would the start find its logs? As the check of a configuration in nginx does, it makes them. */
static bool manners_logs_open(const summary *s, const char *fallback)
{
    logs all;
    logs_init(&all);
    const char *wrong = NULL;
    for (uint32_t i = 0; i < s->error_logs.n && !wrong; i++) {
        wrong = logs_open(&all, s->error_logs.v[i].path.p) < 0 ? s->error_logs.v[i].path.p : NULL;
    }
    for (uint32_t i = 0; i < s->access_logs.n && !wrong; i++) {
        wrong = logs_open(&all, s->access_logs.v[i].p) < 0 ? s->access_logs.v[i].p : NULL;
    }
    fallback = logs_fallback(s, fallback);
    wrong = !wrong && logs_open(&all, fallback) < 0 ? fallback : wrong;
    if (wrong) {
        char text[4400];
        int n = snprintf(text, sizeof text, "open() \"%s\" failed (%d: %s)", wrong, errno, strerror(errno));
        manners_say(LOG_EMERG_, str_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
    }
    logs_fini(&all);
    return !wrong;
}

static void manners_dump(const bundle *b, const summary *s)
{
    for (uint32_t i = 0; i < s->sources.n; i++) {
        str content;
        if (bundle_find(b, BUNDLE_FILE, s->sources.v[i], &content)) {
            printf("# configuration file %.*s:\n", STR_ARG(s->sources.v[i]));
            fwrite(content.p, 1, content.n, stdout);
            fputc('\n', stdout);
        }
    }
    fflush(stdout);
}

int manners_test(const command *c, const bundle *b)
{
    summary sum = {.workers = 0};
    bool fine = b && summary_read(b, &sum) == 0 && manners_logs_open(&sum, c->error_log);
    if (!fine) {
        fprintf(stderr, "moongate: configuration file %s test failed\n", c->recipe.path);
    } else if (!c->quiet) {
        fprintf(stderr, "moongate: the configuration file %s syntax is ok\n", c->recipe.path);
        fprintf(stderr, "moongate: configuration file %s test is successful\n", c->recipe.path);
    }
    if (fine && c->dump) {
        manners_dump(b, &sum);
    }
    if (b) {
        summary_fini(&sum);
    }
    return fine ? 0 : 1;
}

static int manners_signal_of(const char *name)
{
    static const struct {
        const char *name;
        int signum;
    } all[] = {{"stop", SIGTERM}, {"quit", SIGQUIT}, {"reload", SIGHUP}, {"reopen", SIGUSR1}};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(name, all[i].name) == 0) {
            return all[i].signum;
        }
    }
    return 0;
}

int manners_signal(const command *c, const bundle *b)
{
    int signum = manners_signal_of(c->signal);
    if (signum == 0) {
        fprintf(stderr, "moongate: invalid option: \"-s %s\"\n", c->signal);
        return 1;
    }
    summary sum = {.workers = 0};
    if (!b || summary_read(b, &sum) < 0) {
        return 1;
    }
    const char *path = sum.pid.n ? sum.pid.p : c->pid;
    pid_t pid = daemon_pid_read(path);
    int failed = pid <= 0 ? ENOENT : kill(pid, signum) < 0 ? errno : 0;
    if (failed && pid > 0) {
        fprintf(stderr, "moongate: [alert] kill(%ld, %d) failed (%d: %s)\n", (long)pid, signum, failed, strerror(failed));
    } else if (failed) {
        fprintf(stderr, "moongate: [error] open() \"%s\" failed (%d: %s)\n", path, failed, strerror(failed));
    }
    summary_fini(&sum);
    return failed ? 1 : 0;
}
