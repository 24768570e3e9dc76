/* log.h — the error log: levels, one line per event, key=value fields in the text. Access logs are flow/access_log.
 *
 * Glossary. destination: a file, stderr or a syslog server, known by its name for the life of the process; whoever has the right to
 * open it hands in the descriptor, and a newer one after a rotation. set: destinations with the lowest level each of them takes; the
 * process has one, a route may have its own.
 *
 * A native line: 2026-11-23T10:00:00.123Z level pid text. An nginx one: 2026/11/23 10:00:00 [level] pid#tid: text, in local time.
 * Written with one write(2) to each destination. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_NOTICE_, LOG_WARN_, LOG_ERROR_, LOG_CRIT_, LOG_ALERT_, LOG_EMERG_ };
enum log_style { LOG_STYLE_NATIVE, LOG_STYLE_NGINX };

typedef struct log_destination log_destination;

struct log_sink {
    log_destination *to;
    enum log_level level;
};

typedef struct log_set {
    struct log_sink *v;
    int n;
    enum log_level lowest; /* of the sinks: below it nothing need be formatted */
} log_set;

enum { LOG_SET_MAX = 16 };

/* NULL path: stderr. Returns 0 or ERR_*. The path is kept for log_reopen. The process' set is this one destination then. */
MUST_USE int log_open(const char *path, enum log_level level);
MUST_USE int log_reopen(void);
/* From now on the process' lines go to this descriptor (takes it), which somebody else opened and will replace: log_reopen leaves it alone. */
void log_adopt(int fd);
void log_set_level(enum log_level level);
enum log_level log_level_now(void);
/* The file that log_open named and that is in use; NULL: none. */
const char *log_path_now(void);
void log_set_style(enum log_style style);
enum log_style log_style_now(void);
/* "debug".."emerg" → level; -1 unknown. */
int log_level_of(str name);
const char *log_level_name(enum log_level level);

/* The destination of a name, made when it is new: a path, "stderr", or "syslog:server=…" (syslog.h). */
log_destination *log_destination_of(str name);
/* Takes the descriptor, in place of an older one. Lines to a destination without one are lost. */
void log_destination_adopt(log_destination *d, int fd);
/* The process' set from now on (copied; LOG_SET_MAX at most). */
void log_use(const log_set *set);

void log_write(enum log_level level, const char *format, ...) PRINTF(2, 3);
/* To a set (NULL: the process'): three parts of one line. */
void log_line(const log_set *set, enum log_level level, str head, str text, str tail);
static inline bool log_wants(const log_set *set, enum log_level level)
{
    return level >= (set ? set->lowest : log_level_now());
}
/* For specs: takes over every line (level, text); NULL gives back. */
void log_capture(void (*fn)(int level, const char *line));

#define log_debug(...) (log_level_now() <= LOG_DEBUG_ ? log_write(LOG_DEBUG_, __VA_ARGS__) : (void)0)
#define log_info(...) (log_level_now() <= LOG_INFO_ ? log_write(LOG_INFO_, __VA_ARGS__) : (void)0)
#define log_notice(...) log_write(LOG_NOTICE_, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN_, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR_, __VA_ARGS__)
#define log_alert(...) log_write(LOG_ALERT_, __VA_ARGS__)
#define log_emerg(...) log_write(LOG_EMERG_, __VA_ARGS__)

#endif
