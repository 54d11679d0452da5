/* offsets: sliding, gaps, and the text form against damage and against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stepmill/crc32c.h"
#include "stepmill/offsets.h"

static void watermark_follows_the_lowest_unfinished(void **state)
{
    struct offsets *o = offsets_new(100);

    (void)state;
    assert_true(offsets_finish(o, 102));
    assert_true(offsets_finish(o, 101));
    assert_int_equal(offsets_watermark(o), 100);
    assert_int_equal(offsets_end(o), 103);
    assert_true(offsets_finish(o, 100));
    assert_int_equal(offsets_watermark(o), 103);
    assert_int_equal(offsets_end(o), 103);
    assert_true(offsets_finish(o, 1000));
    assert_int_equal(offsets_end(o), 1001);
    assert_true(offsets_is_finished(o, 7));
    assert_false(offsets_is_finished(o, 103));
    offsets_free(o);
}

static void gaps_may_overlap_what_is_finished(void **state)
{
    struct offsets *o = offsets_new(0);

    (void)state;
    assert_true(offsets_finish(o, 5));
    assert_true(offsets_finish_gap(o, 3, 8));
    assert_true(offsets_finish_gap(o, 0, 4));
    assert_int_equal(offsets_watermark(o), 8);
    offsets_free(o);
}

/* Random histories: finish in random order near the watermark; the text must carry exactly the model's set. */
static void text_carries_the_set(void **state)
{
    enum { N = 4000 };
    static bool model[N];

    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct offsets *o = offsets_new(1000), *copy;
        int64_t spread = 1 + (int64_t)(seed * 37 % 900);
        char text[OFFSETS_TEXT_MAX];
        const char *why;
        size_t len;

        srand(seed);
        memset(model, 0, sizeof model);
        for (int i = 0; i < 3000; i++) {
            int64_t at = offsets_watermark(o) + rand() % spread;

            if (at - 1000 < N && !offsets_is_finished(o, at)) {
                assert_true(offsets_finish(o, at));
                model[at - 1000] = true;
            }
        }
        assert_true(offsets_encode(o, text, sizeof text, &len));
        assert_int_equal(len, strlen(text));
        copy = offsets_decode(offsets_watermark(o), text, len, &why);
        assert_non_null(copy);
        for (int i = 0; i < N; i++)
            assert_int_equal(offsets_is_finished(copy, 1000 + i), model[i]);
        offsets_free(copy);
        offsets_free(o);
    }
}

static void one_stuck_task_costs_a_few_characters(void **state)
{
    struct offsets *o = offsets_new(0);
    char text[OFFSETS_TEXT_MAX];
    size_t len;

    (void)state;
    assert_true(offsets_finish_gap(o, 1, 1000000));
    assert_true(offsets_encode(o, text, sizeof text, &len));
    assert_in_range(len, 1, 30);
    offsets_free(o);
}

/* A group without a committed offset begins at 0, and the first record that retention left may be the five-billionth. */
static void a_gap_at_the_watermark_needs_no_room(void **state)
{
    const int64_t far = INT64_C(1) << 60;
    struct offsets *o = offsets_new(3);

    (void)state;
    assert_true(offsets_finish(o, 5));
    assert_true(offsets_finish(o, 200));
    assert_true(offsets_finish_gap(o, 0, 130)); /* passes 5, stops below 200 */
    assert_int_equal(offsets_watermark(o), 130);
    assert_false(offsets_is_finished(o, 199));
    assert_true(offsets_is_finished(o, 200));
    assert_true(offsets_finish_gap(o, 130, 200)); /* and runs on over it */
    assert_int_equal(offsets_watermark(o), 201);
    assert_true(offsets_finish_gap(o, 100, far)); /* a bit for each would be 2^57 bytes */
    assert_int_equal(offsets_watermark(o), far);
    assert_false(offsets_is_finished(o, far));
    assert_true(offsets_finish(o, far + 70));
    assert_true(offsets_finish_gap(o, far, far + 70));
    assert_int_equal(offsets_watermark(o), far + 71);
    offsets_free(o);
}

/* What is written must be readable: else the next owner runs all of it again. */
static void no_more_is_written_than_is_believed(void **state)
{
    const int64_t most = (1 << 24) - 64;
    struct offsets *o = offsets_new(3), *copy;
    char text[OFFSETS_TEXT_MAX];
    const char *why;
    size_t len;

    (void)state;
    assert_true(offsets_finish_gap(o, 4, 3 + most - 1) && offsets_finish(o, 3 + most - 1));
    assert_true(offsets_encode(o, text, sizeof text, &len));
    copy = offsets_decode(3, text, len, &why);
    assert_non_null(copy);
    assert_int_equal(offsets_end(copy), 3 + most);
    offsets_free(copy);
    assert_true(offsets_finish(o, 3 + most));
    assert_false(offsets_encode(o, text, sizeof text, &len));
    offsets_free(o);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct offsets *o = offsets_new(0);
    char text[OFFSETS_TEXT_MAX];
    size_t len;

    (void)state;
    for (int64_t i = 1; i < 30000; i += 3)
        assert_true(offsets_finish(o, i));
    assert_false(offsets_encode(o, text, sizeof text, &len));
    offsets_free(o);
}

static void damaged_text_is_told_apart(void **state)
{
    struct offsets *o = offsets_new(500);
    char text[OFFSETS_TEXT_MAX];
    const char *why;
    size_t len;

    (void)state;
    for (int64_t i = 501; i < 900; i += 2)
        assert_true(offsets_finish(o, i));
    assert_true(offsets_encode(o, text, sizeof text, &len));
    assert_null(offsets_decode(501, text, len, &why));
    assert_string_equal(why, "made for another offset");
    for (size_t i = 0; i < len; i++) {
        text[i] ^= 1;
        assert_null(offsets_decode(500, text, len, &why));
        assert_non_null(why);
        text[i] ^= 1;
    }
    for (size_t cut = 1; cut < len; cut++)
        assert_null(offsets_decode(500, text, cut, &why));
    assert_null(offsets_decode(500, "someone else's metadata", 23, &why));
    offsets_free(o);
}

static void crc_matches_the_rfc(void **state)
{
    uint8_t zeros[32] = {0};

    (void)state;
    assert_int_equal(crc32c(zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720 §B.4 */
}

/* A record in every second offset, none of them finished, behind a stuck one: the gaps alone are longer than a commit may be. */
static void gaps_never_make_the_text_too_long(void **state)
{
    struct offsets *o = offsets_new(0), *copy;
    char text[OFFSETS_TEXT_MAX];
    const char *why;
    size_t len, before;

    (void)state;
    assert_true(offsets_finish(o, 7));
    assert_true(offsets_encode(o, text, sizeof text, &before));
    for (int64_t at = 101; at < 100000; at += 2)
        assert_true(offsets_finish_gap(o, at, at + 1));
    assert_true(offsets_encode(o, text, sizeof text, &len));
    assert_int_equal(len, before);
    copy = offsets_decode(0, text, len, &why);
    assert_non_null(copy);
    assert_true(offsets_is_finished(copy, 7) && !offsets_is_finished(copy, 101));
    offsets_free(copy);
    assert_true(offsets_finish_gap(o, 0, 7)); /* the head is done: what is a gap moves the watermark all the same */
    assert_int_equal(offsets_watermark(o), 8);
    assert_true(offsets_finish(o, 102) && offsets_finish_gap(o, 8, 101));
    assert_int_equal(offsets_watermark(o), 104);
    offsets_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_never_make_the_text_too_long),
        cmocka_unit_test(watermark_follows_the_lowest_unfinished),
        cmocka_unit_test(gaps_may_overlap_what_is_finished),
        cmocka_unit_test(text_carries_the_set),
        cmocka_unit_test(one_stuck_task_costs_a_few_characters),
        cmocka_unit_test(a_gap_at_the_watermark_needs_no_room),
        cmocka_unit_test(no_more_is_written_than_is_believed),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(damaged_text_is_told_apart),
        cmocka_unit_test(crc_matches_the_rfc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
