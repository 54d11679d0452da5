/* Log lines: JSON whatever the fields hold, one write each, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/log.h"

enum { PIPE_ROOM = 1 << 16 };

/* What the call wrote, as jansson reads it; it must be one line. */
static json_t *read_line(int fd)
{
    static char text[PIPE_ROOM];
    ssize_t n = read(fd, text, sizeof text);
    json_t *line;

    assert_true(n > 2);
    assert_int_equal(text[n - 1], '\n');
    assert_ptr_equal(memchr(text, '\n', (size_t)n), text + n - 1);
    line = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    return line;
}

static const char *text_of(const json_t *line, const char *name) { return json_string_value(json_object_get(line, name)); }

static void fields_keep_their_types(void **state)
{
    int fds[2];
    struct log log = {LOG_LEVEL_INFO, 0, "worker"};
    json_t *line;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    log.fd = fds[1];
    log_warn(&log, "agent.task.failed", LOG_SLICE("task_id", SLICE("t\"1\n")), LOG_INT("steps", INT64_MIN),
             LOG_BOOL("final", true), LOG_REAL("ratio", 0.25), LOG_REAL("nan", (double)NAN), LOG_TEXT("absent", NULL),
             LOG_TEXT("empty", ""), LOG_ERROR(error_make(CLASS_AGAIN, "model_http_500", "the model failed")));
    line = read_line(fds[0]);
    assert_string_equal(text_of(line, "level"), "warn");
    assert_string_equal(text_of(line, "role"), "worker");
    assert_string_equal(text_of(line, "event"), "agent.task.failed");
    assert_string_equal(text_of(line, "task_id"), "t\"1\n");
    assert_int_equal(json_integer_value(json_object_get(line, "steps")), INT64_MIN);
    assert_true(json_is_true(json_object_get(line, "final")));
    assert_true(json_real_value(json_object_get(line, "ratio")) == 0.25);
    assert_true(json_is_null(json_object_get(line, "nan")));
    assert_true(json_is_null(json_object_get(line, "absent")));
    assert_string_equal(text_of(line, "empty"), "");
    assert_string_equal(text_of(line, "class"), "again");
    assert_string_equal(text_of(line, "code"), "model_http_500");
    assert_int_equal(strlen(text_of(line, "time")), strlen("2026-11-21T04:00:00.123Z"));
    json_decref(line);
    close(fds[0]);
    close(fds[1]);
}

static void levels_below_are_not_written(void **state)
{
    int fds[2];
    struct log log = {LOG_LEVEL_WARN, 0, NULL};
    json_t *line;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    log.fd = fds[1];
    log_debug(&log, "a", LOG_INT("n", 1));
    log_info(&log, "b", LOG_INT("n", 1));
    log_error(&log, "c", LOG_INT("n", 1));
    log_error((const struct log *)NULL, "d", LOG_INT("n", 1));
    line = read_line(fds[0]);
    assert_string_equal(text_of(line, "event"), "c");
    json_decref(line);
    close(fds[0]);
    close(fds[1]);
}

/* Texts that grow sixfold when escaped, bytes that are not UTF-8, more fields than fit: still one valid line. */
static void hostile_and_huge_texts_stay_one_valid_line(void **state)
{
    static char noise[5000];
    struct log_field fields[40];
    int fds[2];
    struct log log = {LOG_LEVEL_DEBUG, 0, "worker"};

    (void)state;
    assert_int_equal(pipe(fds), 0);
    log.fd = fds[1];
    for (int kind = 0; kind < 4; kind++) {
        static char names[40][8];
        json_t *line;

        memset(noise, kind == 0 ? 1 : kind == 1 ? 0xff : kind == 2 ? 0xe2 : '"', sizeof noise);
        for (size_t i = 0; i < 40; i++) {
            names[i][0] = 'f';
            names[i][1] = (char)('a' + i / 26);
            names[i][2] = (char)('a' + i % 26);
            fields[i] = LOG_SLICE(names[i], ((struct slice){noise, sizeof noise}));
        }
        log_write(&log, LOG_LEVEL_INFO, "noise", 40, fields);
        line = read_line(fds[0]);
        assert_true(json_object_size(line) >= 4 + 2);
        assert_true(json_string_length(json_object_get(line, names[0])) <= 3 * 1024);
        json_decref(line);
    }
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_keep_their_types),
        cmocka_unit_test(levels_below_are_not_written),
        cmocka_unit_test(hostile_and_huge_texts_stay_one_valid_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
