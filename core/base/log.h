/* log.h — the error log: levels, one line per event, key=value fields in the text. Access logs are flow/access_log.
 *
 * A line: 2026-11-23T10:00:00.123Z level pid text. Written with one write(2) to the log's descriptor. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_NOTICE_, LOG_WARN_, LOG_ERROR_, LOG_CRIT_, LOG_ALERT_, LOG_EMERG_ };

/* NULL path: stderr. Returns 0 or ERR_*. The path is kept for log_reopen. */
MUST_USE int log_open(const char *path, enum log_level level);
MUST_USE int log_reopen(void);
/* From now on lines go to this descriptor (takes it), which somebody else opened and will replace: log_reopen leaves it alone. */
void log_adopt(int fd);
void log_set_level(enum log_level level);
enum log_level log_level_now(void);
/* "debug".."emerg" → level; -1 unknown. */
int log_level_of(str name);
void log_write(enum log_level level, const char *format, ...) PRINTF(2, 3);
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
