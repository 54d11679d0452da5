/* done: written, read back, and every damaged text refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stepmill/done.h"

static struct done sample(void)
{
    return (struct done){.status = DONE_FAILED,
                         .origin = {SLICE("agent.tasks.search"), 3, INT64_C(9000000000)},
                         .redrives = 2,
                         .input_hash = {{0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff}}};
}

static void what_is_written_is_read(void **state)
{
    struct done d = sample(), back;
    struct buf text = BUF(DONE_TEXT_MAX);

    (void)state;
    for (int status = DONE_COMPLETED; status <= DONE_CANCELLED; status++) {
        d.status = (enum done_status)status;
        buf_clear(&text);
        done_encode(&d, &text);
        assert_false(text.failed);
        assert_false(failed(done_decode(buf_slice(&text), &back)));
        assert_int_equal(back.status, status);
        assert_int_equal(back.redrives, 2);
        assert_int_equal(back.origin.partition, 3);
        assert_int_equal(back.origin.offset, d.origin.offset);
        assert_true(slice_is(back.origin.topic, "agent.tasks.search"));
        assert_true(digest_equal(&back.input_hash, &d.input_hash));
    }
    buf_free(&text);
}

static void the_longest_fits(void **state)
{
    char topic[250];
    struct done d = sample(), back;
    struct buf text = BUF(DONE_TEXT_MAX);

    (void)state;
    memset(topic, 'x', sizeof topic);
    d = (struct done){DONE_COMPLETED, {{topic, 249}, INT32_MAX, INT64_MAX}, INT32_MAX, d.input_hash};
    done_encode(&d, &text);
    assert_false(text.failed);
    assert_false(failed(done_decode(buf_slice(&text), &back)));
    buf_clear(&text);
    d.origin.topic.len = 250;
    done_encode(&d, &text);
    assert_true(text.failed);
    buf_free(&text);
}

static void damaged_text_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "1",
        "rubbish",
        "1 failed 0 3 7",
        "0 failed 0 3 7 ab010203040506070809000b0c0d0e0f t",
        "1 failed 0 3 7 ab010203040506070809000b0c0d0e0f",
        "1 failed 0 3 7 ab010203040506070809000b0c0d0e0f ",
        "1 failed 0 3 7 ab010203040506070809000b0c0d0e0f t t",
        "1  failed 0 3 7 ab010203040506070809000b0c0d0e0f t",
        "1 Failed 0 3 7 ab010203040506070809000b0c0d0e0f t",
        "1 failed -1 3 7 ab010203040506070809000b0c0d0e0f t",
        "1 failed 0 3 -7 ab010203040506070809000b0c0d0e0f t",
        "1 failed 0 3 99999999999999999999 ab010203040506070809000b0c0d0e0f t",
        "1 failed 0 3 7 zb010203040506070809000b0c0d0e0f t",
        "1 failed 0 3 7 ab010203040506070809000b0c0d0e t",
        "1 failed 0 3 7 ab010203040506070809000b0c0d0e0f a/b",
    };
    struct done back;
    struct error error;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error = done_decode(slice_of(bad[i]), &back);
        assert_int_equal(error.class, CLASS_WAIT);
        assert_string_equal(error.code, "done_unreadable");
    }
    error = done_decode((struct slice){NULL, 0}, &back);
    assert_string_equal(error.code, "done_unreadable");
    error = done_decode(slice_of("2 something else altogether"), &back);
    assert_string_equal(error.code, "done_newer");
}

/* Whatever is cut off, the rest is refused, except where only letters of the topic are gone. */
static void cut_text_is_refused(void **state)
{
    struct done d = sample(), back;
    struct buf text = BUF(DONE_TEXT_MAX);

    (void)state;
    done_encode(&d, &text);
    for (size_t n = 0; n < text.len - d.origin.topic.len; n++) {
        struct error error = done_decode((struct slice){text.at, n}, &back);

        assert_true(failed(error));
    }
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(damaged_text_is_refused),
        cmocka_unit_test(cut_text_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
