/* Log lines as JSON, one write each. */
#include "stepmill/log.h"

#include <math.h>
#include <unistd.h>

#include "stepmill/clock.h"
#include "stepmill/json.h"
#include "stepmill/time_text.h"

enum { LINE_MAX_BYTES = 16384, LINE_USUAL_BYTES = 1024, TEXT_MAX_BYTES = 1024 };

static void put_time(struct buf *line)
{
    char now[TIME_STAMP_LEN];

    time_stamp(now, clock_wall_ms());
    buf_put_text(line, "{\"time\":\"");
    buf_put(line, now, sizeof now);
    buf_put_byte(line, '"');
}

static void put_field(struct buf *line, const struct log_field *f)
{
    buf_put_text(line, ",\"");
    buf_put_text(line, f->name);
    buf_put_text(line, "\":");
    if (f->kind == LOG_KIND_INT)
        buf_put_int(line, f->integer);
    else if (f->kind == LOG_KIND_BOOL)
        buf_put_text(line, f->integer ? "true" : "false");
    else if (f->kind == LOG_KIND_DOUBLE && isfinite(f->real))
        buf_printf(line, "%.6g", f->real);
    else if (f->kind == LOG_KIND_TEXT && f->text.at)
        json_put_string(line, utf8_cut(f->text, TEXT_MAX_BYTES));
    else
        buf_put_text(line, "null");
}

void log_write(const struct log *log, enum log_level level, const char *event, size_t n, const struct log_field *fields)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct buf line = BUF(LINE_MAX_BYTES);

    buf_reserve(&line, LINE_USUAL_BYTES);
    put_time(&line);
    buf_put_text(&line, ",\"level\":\"");
    buf_put_text(&line, levels[level]);
    buf_put_text(&line, "\",\"role\":\"");
    buf_put_text(&line, log->role ? log->role : "stepmill");
    buf_put_text(&line, "\",\"event\":");
    json_put_string(&line, slice_of(event));
    for (size_t i = 0; i < n && line.len < LINE_MAX_BYTES - 8 * TEXT_MAX_BYTES; i++)
        put_field(&line, &fields[i]);
    buf_put_text(&line, "}\n");
    if (!line.failed && write(log->fd, line.at, line.len) < 0)
        line.failed = true; /* nowhere left to say it */
    buf_free(&line);
}
