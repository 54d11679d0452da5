/* Fuzzes the small texts: times, durations, sizes, Retry-After, trace headers, secrets by reference, `done`, wire format, hex,
 * logs.
 *
 * What is taken can be written again and means the same; dates are compared with strptime's reading.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fuzz_input.h"
#include "stepmill/base64url.h"
#include "stepmill/done.h"
#include "stepmill/json.h"
#include "stepmill/log.h"
#include "stepmill/retry_after.h"
#include "stepmill/secret.h"
#include "stepmill/time_text.h"
#include "stepmill/trace.h"
#include "stepmill/units.h"
#include "stepmill/utf8.h"
#include "stepmill/wire_format.h"

static const int64_t NOW_MS = INT64_C(1795247251000); /* 2026-11-21T04:54:11Z: what the seeds' dates are near to */

/* A terminated copy read by strptime to its end. */
static bool their_date(struct slice text, const char *format, int64_t *ms)
{
    struct tm tm = {0};
    char copy[64];
    const char *end;

    if (text.len >= sizeof copy || memchr(text.at, 0, text.len))
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    end = strptime(copy, format, &tm);
    if (!end || *end)
        return false;
    *ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static void check_retry_after(struct slice text)
{
    int64_t ms = -7, theirs;

    if (!retry_after_ms(text, NOW_MS, &ms)) {
        if (ms != -7)
            bug("a refused Retry-After changed the value");
        return;
    }
    if (ms < 0 || ms > RETRY_AFTER_MAX_MS)
        bug("Retry-After out of its range");
    if (their_date(text, "%a, %d %b %Y %H:%M:%S GMT", &theirs) || their_date(text, "%a %b %e %H:%M:%S %Y", &theirs)) {
        theirs -= NOW_MS;
        if (ms != (theirs < 0 ? 0 : theirs > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : theirs))
            bug("Retry-After: %lld, strptime says %lld", (long long)ms, (long long)theirs);
    }
}

static void check_time(struct slice text)
{
    char written[TIME_TEXT_SIZE];
    int64_t ms = -7, ahead, theirs;
    struct slice day = {text.at, text.len < 19 ? 0 : 19};

    if (!time_read(text, false, NOW_MS, &ms)) {
        if (ms != -7)
            bug("a refused time changed the value");
        return;
    }
    if (!time_read(text, true, NOW_MS, &ahead))
        bug("a time that is one only backwards");
    if (day.len && text.at[text.len - 1] == 'Z' && text.at[10] == 'T' && their_date(day, "%Y-%m-%dT%H:%M:%S", &theirs) &&
        (ms < theirs || ms >= theirs + 1000))
        bug("%.*s: %lld, strptime says %lld", SLICE_FMT(text), (long long)ms, (long long)theirs);
    time_write(written, ms, NOW_MS);
    if (strlen(written) >= TIME_TEXT_SIZE)
        bug("a time without end");
}

typedef const char *unit_read(struct slice text, int64_t *value);
typedef void unit_write(int64_t value, struct buf *to);

static void check_unit(struct slice text, unit_read *read, unit_write *write)
{
    struct buf again = BUF(64);
    int64_t value, back;

    if (read(text, &value))
        return;
    if (value < 0)
        bug("%.*s is below zero", SLICE_FMT(text));
    write(value, &again);
    if (again.failed || read(buf_slice(&again), &back) || back != value)
        bug("%.*s is written as %s", SLICE_FMT(text), buf_text(&again));
    buf_free(&again);
}

static void check_trace(struct slice text)
{
    static const uint8_t random[TRACE_RANDOM] = {0};
    struct trace t, back;
    char written[TRACEPARENT_SIZE];

    (void)trace_from_headers(text, text, random, &t); /* always a trace that can be written and read */
    trace_format(&t, written);
    if (!trace_parse(slice_of(written), &back) || memcmp(back.trace_id, t.trace_id, 16) || memcmp(back.span_id, t.span_id, 8) ||
        back.sampled != t.sampled)
        bug("%s is no trace", written);
    if (trace_parse(text, &back) && (memcmp(text.at + 2, written + 2, 51) || memchr(text.at, 'A', 55)))
        bug("%.*s was read as %s", SLICE_FMT(text), written);
}

static void check_done(struct slice text)
{
    struct buf again = BUF(1024);
    struct done d, back;

    if (failed(done_decode(text, &d)))
        return;
    done_encode(&d, &again);
    if (again.failed || failed(done_decode(buf_slice(&again), &back)) || back.status != d.status || back.redrives != d.redrives ||
        back.origin.offset != d.origin.offset || back.origin.partition != d.origin.partition ||
        !slice_equal(back.origin.topic, d.origin.topic) || memcmp(&back.input_hash, &d.input_hash, sizeof d.input_hash))
        bug("done: %.*s is written as %s", SLICE_FMT(text), buf_text(&again));
    buf_free(&again);
}

static void check_secret(struct slice text)
{
    static char *const environment[] = {(char *)(uintptr_t) "A=${B}", (char *)(uintptr_t) "B=", NULL};
    struct buf value = BUF(1 << 20);
    struct secret_use use;

    buf_put_text(&value, "before");
    if (failed(secret_expand(text, environment, &value, &use)) && value.len != 6)
        bug("a refused secret left something behind");
    if (strlen(use.missing) >= sizeof use.missing || memcmp(value.at, "before", 6) != 0)
        bug("a secret wrote over something");
    buf_free(&value);
}

static void check_bytes(struct slice text)
{
    uint8_t *bytes = malloc(text.len + 1);
    char *back = malloc(2 * text.len + 16);
    size_t n;
    uint32_t id;
    struct slice avro;
    struct buf again = BUF(64);

    if (!bytes || !back)
        abort();
    if (base64url_decode(bytes, &n, text.at, text.len) &&
        (base64url_encode(back, bytes, n) != text.len || memcmp(back, text.at, text.len) != 0))
        bug("base64url: %.*s is written as %s", SLICE_FMT(text), back);
    hex_encode(back, text.at, text.len);
    if (!hex_decode(bytes, text.len, slice_of(back)) || memcmp(bytes, text.at, text.len) != 0)
        bug("hex does not come back");
    if (!failed(wire_parse(text, &id, &avro))) {
        wire_put(&again, id);
        if (avro.len + again.len != text.len || memcmp(again.at, text.at, again.len) != 0)
            bug("the wire header does not come back");
    }
    buf_free(&again);
    free(bytes);
    free(back);
}

/* One line of JSON, whatever is logged. */
static void check_log(struct slice text)
{
    static int fd = -1;
    static char line[1 << 16];
    struct log log = {.level = LOG_LEVEL_INFO, .role = "fuzz"};
    ssize_t n;

    if (fd < 0)
        fd = memfd_create("log", 0);
    log.fd = fd;
    log_info(&log, "fuzz.text", LOG_SLICE("text", text), LOG_INT("size", text.len));
    n = pread(fd, line, sizeof line, 0);
    if (n <= 0 || line[n - 1] != '\n' || memchr(line, '\n', (size_t)n - 1) ||
        !json_valid_object((struct slice){line, (size_t)n - 1}) || !utf8_valid((struct slice){line, (size_t)n}))
        bug("a log line that is none: %.*s", (int)n, line);
    if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))
        bug("no scratch file");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = fuzz_begin(data, size);
    struct slice text = fuzz_rest(&in);

    check_retry_after(text);
    check_time(text);
    check_unit(text, duration_read, duration_write);
    check_unit(text, size_read, size_write);
    check_trace(text);
    check_done(text);
    check_secret(text);
    check_bytes(text);
    check_log(text);
    fuzz_end(&in);
    return 0;
}
