/* Points in time as people write and read them. */
#include "stepmill/time_text.h"

#include <stdio.h>
#include <time.h>

#include "stepmill/units.h"

enum { UNIX_MS_DIGITS = 13, DAY_MS = 86400000, MINUTE_MS = 60000 };
static const int64_t YEAR_10000_MS = INT64_C(253402300800000);

/* What is left of the text. */
struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, const char *any_of)
{
    if (c->at == c->end || !*c->at || !strchr(any_of, *c->at))
        return false;
    c->at++;
    return true;
}

/* Exactly n digits, within the range. */
static bool number(struct cursor *c, int n, int least, int most, int *value)
{
    *value = 0;
    for (int i = 0; i < n; i++) {
        if (c->at == c->end || *c->at < '0' || *c->at > '9')
            return false;
        *value = *value * 10 + (*c->at++ - '0');
    }
    return *value >= least && *value <= most;
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool date(struct cursor *c, struct tm *t)
{
    int year, month;

    if (!number(c, 4, 1, 9999, &year) || !take(c, "-") || !number(c, 2, 1, 12, &month) || !take(c, "-") ||
        !number(c, 2, 1, days_of(year, month), &t->tm_mday))
        return false;
    t->tm_year = year - 1900;
    t->tm_mon = month - 1;
    return true;
}

/* Digits beyond milliseconds are dropped. */
static bool fraction(struct cursor *c, int *ms)
{
    int unit = 100, digit;

    *ms = 0;
    if (!take(c, "."))
        return true;
    if (c->at == c->end || *c->at < '0' || *c->at > '9')
        return false;
    for (; number(&(struct cursor){c->at, c->end}, 1, 0, 9, &digit); c->at++, unit /= 10)
        *ms += digit * unit;
    return true;
}

static bool zone(struct cursor *c, int *minutes)
{
    bool west = c->at != c->end && *c->at == '-';
    int hours, rest;

    *minutes = 0;
    if (take(c, "Zz"))
        return true;
    if (!take(c, "+-") || !number(c, 2, 0, 23, &hours) || !take(c, ":") || !number(c, 2, 0, 59, &rest))
        return false;
    *minutes = (hours * 60 + rest) * (west ? -1 : 1);
    return true;
}

static bool rfc3339(struct slice text, int64_t *ms)
{
    struct cursor c = {text.at, text.at + text.len};
    struct tm t = {0};
    int thousandths, minutes;

    if (!date(&c, &t) || !take(&c, "Tt ") || !number(&c, 2, 0, 23, &t.tm_hour) || !take(&c, ":") ||
        !number(&c, 2, 0, 59, &t.tm_min) || !take(&c, ":") || !number(&c, 2, 0, 60, &t.tm_sec) || /* 60: a leap second */
        !fraction(&c, &thousandths) || !zone(&c, &minutes) || c.at != c.end)
        return false;
    *ms = (int64_t)timegm(&t) * 1000 + thousandths - (int64_t)minutes * MINUTE_MS;
    return true;
}

bool time_read(struct slice text, bool ahead, int64_t now_ms, int64_t *ms)
{
    int64_t span, at;
    bool read;

    if (text.len == UNIX_MS_DIGITS && slice_to_int(text, 0, INT64_MAX, &at))
        read = true;
    else if (duration_read(text, &span))
        read = rfc3339(text, &at);
    else
        read = !(ahead ? __builtin_add_overflow(now_ms, span, &at) : __builtin_sub_overflow(now_ms, span, &at));
    if (read)
        *ms = at;
    return read;
}

void time_write(char text[TIME_TEXT_SIZE], int64_t ms, int64_t now_ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;

    size_t n;

    if (ms < 0 || ms >= YEAR_10000_MS || !gmtime_r(&seconds, &utc)) {
        snprintf(text, TIME_TEXT_SIZE, "-");
    } else if (ms / DAY_MS == now_ms / DAY_MS) {
        n = strftime(text, TIME_TEXT_SIZE, "%H:%M:%S", &utc);
        snprintf(text + n, TIME_TEXT_SIZE - n, ".%03d", (int)(ms % 1000));
    } else {
        strftime(text, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &utc);
    }
}

static int64_t within_calendar(int64_t ms) { return ms < 0 ? 0 : ms >= YEAR_10000_MS ? YEAR_10000_MS - 1 : ms; }

/* The date by arithmetic: gmtime takes a lock and reads its zone's file's date, and each task asks a dozen times. Counted from
 * 1 March of year 0, so that the day a leap year adds is a year's last: eras of 400 years have the same number of days each. */
static void date_of(int64_t ms, int *year, int *month, int *day)
{
    enum { DAYS_TO_1970 = 719468, ERA_DAYS = 146097, CENTURY_DAYS = 36524, YEARS4_DAYS = 1461 };
    int days = (int)(ms / DAY_MS) + DAYS_TO_1970;
    int in_era = days % ERA_DAYS;
    int in_era_year = (in_era - in_era / (YEARS4_DAYS - 1) + in_era / CENTURY_DAYS - in_era / (ERA_DAYS - 1)) / 365;
    int in_year = in_era - (365 * in_era_year + in_era_year / 4 - in_era_year / 100);
    int since_march = (5 * in_year + 2) / 153; /* five months have 153 days, whichever from March, August or January */

    *day = in_year - (153 * since_march + 2) / 5 + 1;
    *month = since_march < 10 ? since_march + 3 : since_march - 9;
    *year = days / ERA_DAYS * 400 + in_era_year + (*month <= 2);
}

static void put_digits(char *at, int value, int n)
{
    for (int i = n; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
}

void time_stamp(char text[TIME_STAMP_LEN], int64_t ms)
{
    int year, month, day, rest;

    ms = within_calendar(ms);
    rest = (int)(ms % DAY_MS);
    date_of(ms, &year, &month, &day);
    memcpy(text, "0000-00-00T00:00:00.000Z", TIME_STAMP_LEN);
    put_digits(text, year, 4);
    put_digits(text + 5, month, 2);
    put_digits(text + 8, day, 2);
    put_digits(text + 11, rest / 3600000, 2);
    put_digits(text + 14, rest / 60000 % 60, 2);
    put_digits(text + 17, rest / 1000 % 60, 2);
    put_digits(text + 20, rest % 1000, 3);
}

int32_t time_day(int64_t ms)
{
    int year, month, day;

    date_of(within_calendar(ms), &year, &month, &day);
    return year * 10000 + month * 100 + day;
}
