/* The keys by which a tool or a model recognises a call that comes again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "stepmill/idempotency.h"

/* Worked out by hand, so that an accident does not change what tools recognise: lengths are 8 bytes, highest first.
 *   printf '\0\0\0\0\0\0\0\6lookup\0\0\0\0\0\0\0\0011\0\0\0\0\0\0\0\15{"params":{}}' | sha256sum | cut -c1-8 */
static void keys_are_stable_and_tell_calls_apart(void **state)
{
    const struct slice call[] = {SLICE("lookup"), SLICE("1"), SLICE("{\"params\":{}}")};
    const struct slice split[] = {SLICE("lookup"), SLICE("1"), SLICE("{\"params\""), SLICE(":{}}")};
    const struct slice shifted[] = {SLICE("lookup1"), SLICE(""), SLICE("{\"params\":{}}")};
    const struct slice other[] = {SLICE("lookup"), SLICE("2"), SLICE("{\"params\":{}}")};
    char key[IDEMPOTENCY_KEY_MAX], again[IDEMPOTENCY_KEY_MAX];
    char longest[128];

    (void)state;
    assert_int_equal(idempotency_key(key, SLICE("task-1"), 7, call, 3, 1), strlen("task-1/7/00000000"));
    assert_memory_equal(key, "task-1/7/", 9);
    assert_string_equal(key, "task-1/7/e213957e");
    idempotency_key(again, SLICE("task-1"), 7, split, 4, 2); /* a body in parts is the same body */
    assert_string_equal(again, key);
    idempotency_key(again, SLICE("task-1"), 7, shifted, 3, 1);
    assert_string_not_equal(again, key);
    idempotency_key(again, SLICE("task-1"), 7, other, 3, 1);
    assert_string_not_equal(again, key);
    memset(longest, 'x', sizeof longest);
    assert_int_equal(idempotency_key(key, (struct slice){longest, sizeof longest}, INT32_MIN, call, 3, 1),
                     IDEMPOTENCY_KEY_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_stable_and_tell_calls_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
