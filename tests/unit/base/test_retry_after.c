/* Retry-After: seconds, the three date forms, and what is none of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stepmill/retry_after.h"

#define NOW INT64_C(784111777000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void values_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t now, ms;
    } cases[] = {
        {"0", NOW, 0},
        {"1", NOW, 1000},
        {"120", NOW, 120000},
        {"007", NOW, 7000},
        {"1.5", NOW, 1500},
        {"0.25", NOW, 250},
        {"2.12345678", NOW, 2123},
        {"86400", NOW, RETRY_AFTER_MAX_MS},
        {"86401", NOW, RETRY_AFTER_MAX_MS},
        {"99999999999999999999999999999999999999", NOW, RETRY_AFTER_MAX_MS},
        {"Sun, 06 Nov 1994 08:49:37 GMT", NOW, 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT", NOW, 60000},
        {"Sun, 06 Nov 1994 08:49:38 GMT", NOW + 400, 600},
        {"Sun, 06 Nov 1994 08:49:00 GMT", NOW, 0},
        {"Tue, 06 Nov 2001 08:49:37 GMT", NOW, RETRY_AFTER_MAX_MS},
        {"Sunday, 06-Nov-94 08:49:39 GMT", NOW, 2000},
        {"Sunday, 06-Nov-50 08:49:39 GMT", NOW, 0},                                     /* 1950 */
        {"Sunday, 06-Nov-40 08:49:39 GMT", INT64_C(1795000000000), RETRY_AFTER_MAX_MS}, /* 2040, seen from 2026 */
        {"Sun Nov  6 08:49:40 1994", NOW, 3000},
        {"Wed Nov 16 08:49:37 1994", NOW, RETRY_AFTER_MAX_MS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;

        if (!retry_after_ms(slice_of(cases[i].text), cases[i].now, &ms) || ms != cases[i].ms)
            fail_msg("%s: %lld ms", cases[i].text, (long long)ms);
    }
}

static void everything_else_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "-1",
        "+1",
        "1 ",
        " 1",
        "1.",
        ".5",
        "1.2.3",
        "1e3",
        "soon",
        "0x10",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1799 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t ms = -1;

        if (retry_after_ms(slice_of(texts[i]), NOW, &ms) || ms != -1)
            fail_msg("taken: \"%s\" as %lld", texts[i], (long long)ms);
    }
}

/* Cut at every place, and with every byte changed once: no crash, and never a value out of range. */
static void damaged_values_do_no_harm(void **state)
{
    static const char *const texts[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994", "120.5"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[64];
        int64_t ms = 0;

        for (size_t n = 0; n < strlen(texts[i]); n++)
            retry_after_ms((struct slice){texts[i], n}, NOW, &ms);
        for (size_t n = 0; n < strlen(texts[i]); n++)
            for (int b = 0; b < 256; b++) {
                memcpy(text, texts[i], strlen(texts[i]));
                text[n] = (char)b;
                if (retry_after_ms((struct slice){text, strlen(texts[i])}, NOW, &ms))
                    assert_in_range(ms, 0, RETRY_AFTER_MAX_MS);
            }
    }
    assert_false(retry_after_ms((struct slice){NULL, 0}, NOW, &(int64_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(damaged_values_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
