/* master_logs.c — see master_logs.h. */
#include "proc/master_logs.h"

#include "base/err.h"
#include "proc/manners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void master_logs_write(enum log_level level, str text)
{
    while (text.n > 0) {
        size_t end = str_find(text, '\n', 0);
        enum log_level own = level;
        str line = manners_line(str_of(text.p, end), &own);
        log_write(own, "%.*s", STR_ARG(line));
        text = str_from(text, end < text.n ? end + 1 : text.n);
    }
}

bool master_logs_to_stderr(const master *m)
{
    for (uint32_t i = 0; i < m->sum.error_logs.n; i++) {
        const summary_errlog *e = &m->sum.error_logs.v[i];
        if (e->own && !str_eq(e->path, STR("stderr"))) {
            return false;
        }
    }
    const char *fallback = logs_fallback(&m->sum, m->options.error_log);
    return !fallback || strcmp(fallback, "stderr") == 0;
}

static int open_one(master *m, const char *path, char *err, size_t errcap)
{
    int rc = logs_open(&m->logs, path);
    if (rc < 0 && log_style_now() == LOG_STYLE_NGINX) {
        snprintf(err, errcap, "open() \"%s\" failed (%d: %s)", path, errno, strerror(errno));
    } else if (rc < 0) {
        snprintf(err, errcap, "cannot open the log \"%s\": %s", path, strerror(errno));
    } else if (rc == 1) {
        channel_msg msg = {CHANNEL_LOG, logs_find(&m->logs, path), 0, 0, str_c(path)};
        crew_tell(&m->crew, &msg, true);
    }
    return rc < 0 ? rc : 0;
}

int master_logs_open(master *m, const summary *sum, char *err, size_t errcap)
{
    int rc = open_one(m, logs_fallback(sum, m->options.error_log), err, errcap);
    for (uint32_t i = 0; i < sum->error_logs.n && rc == 0; i++) {
        rc = open_one(m, sum->error_logs.v[i].path.p, err, errcap);
    }
    for (uint32_t i = 0; i < sum->access_logs.n && rc == 0; i++) {
        rc = open_one(m, sum->access_logs.v[i].p, err, errcap);
    }
    for (uint32_t i = 0; i < sum->optional_logs.n && rc == 0; i++) {
        char why[256];
        if (open_one(m, sum->optional_logs.v[i].p, why, sizeof why) < 0) {
            log_warn("%s", why);
        }
    }
    return rc;
}

void master_logs_keep(master *m)
{
    logs_keep_of(&m->logs, &m->sum, m->options.error_log);
}

void master_logs_use(master *m)
{
    logs_use_errors(&m->logs, &m->sum, m->options.error_log);
}

void master_logs_reopen(master *m)
{
    logs_reopen(&m->logs);
    master_logs_use(m);
    log_notice(m->sum.nginx ? "reopening logs" : "logs reopened");
    for (uint32_t i = 0; i < m->logs.all.n; i++) {
        const logs_file *f = &m->logs.all.v[i];
        channel_msg msg = {CHANNEL_LOG, f->fd, 0, 0, str_c(f->path)};
        crew_tell(&m->crew, &msg, true);
    }
}
