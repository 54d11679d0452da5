/* JSON lines on stderr: {"time":…,"level":…,"event":…,fields…}. One line per call, written by one write(2), so lines of threads
 * don't mix.
 *
 *     log_info(log, "agent.task.completed", LOG_SLICE("task_id", id), LOG_INT("steps", 3));
 *
 * Never log prompts, answers or secrets. Texts over 1 KiB are cut. Any thread may log.
 */
#ifndef STEPMILL_LOG_H
#define STEPMILL_LOG_H

#include "bytes.h"
#include "error.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log {
    enum log_level level; /* lines below it are not written; set before threads start, or from the loop (a plain aligned int) */
    int fd;
    const char *role; /* "worker": a field of every line */
};

struct log_field {
    const char *name;
    enum { LOG_KIND_TEXT, LOG_KIND_INT, LOG_KIND_BOOL, LOG_KIND_DOUBLE } kind;
    struct slice text;
    int64_t integer;
    double real;
};

#define LOG_SLICE(n, s) ((struct log_field){.name = (n), .kind = LOG_KIND_TEXT, .text = (s)})
#define LOG_TEXT(n, t)  ((struct log_field){.name = (n), .kind = LOG_KIND_TEXT, .text = slice_of(t)})
#define LOG_INT(n, i)   ((struct log_field){.name = (n), .kind = LOG_KIND_INT, .integer = (int64_t)(i)})
#define LOG_BOOL(n, b)  ((struct log_field){.name = (n), .kind = LOG_KIND_BOOL, .integer = (b)})
#define LOG_REAL(n, d)  ((struct log_field){.name = (n), .kind = LOG_KIND_DOUBLE, .real = (d)})
/* An error as the three fields class, code, reason. */
#define LOG_ERROR(e) LOG_TEXT("class", error_class_name((e).class)), LOG_TEXT("code", (e).code), LOG_TEXT("reason", (e).text)

void log_write(const struct log *log, enum log_level level, const char *event, size_t n, const struct log_field *fields);

#define LOG_AT(to, lvl, event, ...)                                                                                              \
    do {                                                                                                                         \
        const struct log *log_ = (to);                                                                                           \
        if (log_ && log_->level <= (lvl)) {                                                                                      \
            const struct log_field fields_[] = {__VA_ARGS__};                                                                    \
            log_write(log_, (lvl), (event), sizeof fields_ / sizeof *fields_, fields_);                                          \
        }                                                                                                                        \
    } while (0)
/* At least one field each. */
#define log_debug(log, event, ...) LOG_AT(log, LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(log, event, ...)  LOG_AT(log, LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(log, event, ...)  LOG_AT(log, LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(log, event, ...) LOG_AT(log, LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif
