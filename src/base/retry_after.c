/* Retry-After: seconds, or one of the three date forms that HTTP has known. */
#include "stepmill/retry_after.h"

#include <time.h>

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, const char *text)
{
    size_t n = strlen(text);

    if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0)
        return false;
    c->at += n;
    return true;
}

/* Exactly `digits` digits; `blank`: the first may be a blank instead (asctime's day). */
static bool take_number(struct cursor *c, int digits, bool blank, int *value)
{
    *value = 0;
    if (c->end - c->at < digits)
        return false;
    for (int i = 0; i < digits; i++, c->at++) {
        if (blank && i == 0 && *c->at == ' ')
            continue;
        if (*c->at < '0' || *c->at > '9')
            return false;
        *value = *value * 10 + (*c->at - '0');
    }
    return true;
}

/* One of `n` names of which `letters` are given each. */
static bool take_name(struct cursor *c, const char *const *names, int n, int letters, int *index)
{
    for (int i = 0; i < n; i++) {
        size_t len = letters ? (size_t)letters : strlen(names[i]);

        if ((size_t)(c->end - c->at) >= len && !memcmp(c->at, names[i], len)) {
            c->at += len;
            *index = i;
            return true;
        }
    }
    return false;
}

static bool take_month(struct cursor *c, struct tm *tm)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    return take_name(c, months, 12, 3, &tm->tm_mon);
}

static bool take_time(struct cursor *c, struct tm *tm)
{
    return take_number(c, 2, false, &tm->tm_hour) && take(c, ":") && take_number(c, 2, false, &tm->tm_min) && take(c, ":") &&
           take_number(c, 2, false, &tm->tm_sec) && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool is_fixed_date(struct cursor c, struct tm *tm)
{
    int day;

    return take_name(&c, days, 7, 3, &day) && take(&c, ", ") && take_number(&c, 2, false, &tm->tm_mday) && take(&c, " ") &&
           take_month(&c, tm) && take(&c, " ") && take_number(&c, 4, false, &tm->tm_year) && take(&c, " ") && take_time(&c, tm) &&
           take(&c, " GMT") && c.at == c.end;
}

/* Sunday, 06-Nov-94 08:49:37 GMT: a year more than 50 years ahead means the century before. */
static bool is_rfc850_date(struct cursor c, struct tm *tm, int this_year)
{
    int day;

    if (!(take_name(&c, days, 7, 0, &day) && take(&c, ", ") && take_number(&c, 2, false, &tm->tm_mday) && take(&c, "-") &&
          take_month(&c, tm) && take(&c, "-") && take_number(&c, 2, false, &tm->tm_year) && take(&c, " ") && take_time(&c, tm) &&
          take(&c, " GMT") && c.at == c.end))
        return false;
    tm->tm_year += this_year - this_year % 100;
    if (tm->tm_year > this_year + 50)
        tm->tm_year -= 100;
    return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool is_asctime_date(struct cursor c, struct tm *tm)
{
    int day;

    return take_name(&c, days, 7, 3, &day) && take(&c, " ") && take_month(&c, tm) && take(&c, " ") &&
           take_number(&c, 2, true, &tm->tm_mday) && take(&c, " ") && take_time(&c, tm) && take(&c, " ") &&
           take_number(&c, 4, false, &tm->tm_year) && c.at == c.end;
}

static bool read_date(struct slice s, int64_t now_ms, int64_t *at_ms)
{
    struct cursor c = {s.at, s.at + s.len};
    struct tm tm = {0}, now;
    time_t now_s = (time_t)(now_ms / 1000);

    if (!gmtime_r(&now_s, &now))
        return false;
    if (!is_fixed_date(c, &tm) && !is_rfc850_date(c, &tm, now.tm_year + 1900) && !is_asctime_date(c, &tm))
        return false;
    if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1900)
        return false;
    tm.tm_year -= 1900;
    *at_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

/* "120" or "1.5"; a number too long to matter is as good as the greatest. */
static bool read_seconds(struct slice s, int64_t *ms)
{
    int64_t value = 0, unit = 1000;
    bool dot = false;

    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '.' && !dot && i > 0 && i + 1 < s.len) {
            dot = true;
            continue;
        }
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        if (!dot)
            value = value > RETRY_AFTER_MAX_MS ? value : value * 10 + (s.at[i] - '0') * 1000;
        else
            value += (s.at[i] - '0') * (unit /= 10);
    }
    *ms = value;
    return s.len > 0;
}

bool retry_after_ms(struct slice value, int64_t now_wall_ms, int64_t *ms)
{
    int64_t wait;

    if (!read_seconds(value, &wait)) {
        if (!read_date(value, now_wall_ms, &wait))
            return false;
        wait -= now_wall_ms;
    }
    *ms = wait < 0 ? 0 : wait > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : wait;
    return true;
}
