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

/* printf '\0\0\0\0\0\0\0\6openai{"messages":[1,2]}' | sha256sum | cut -c1-8 */
static void a_growing_body_is_hashed_once(void **state)
{
    struct digest_state body, whole;
    char key[IDEMPOTENCY_KEY_MAX], again[IDEMPOTENCY_KEY_MAX];

    (void)state;
    idempotency_begin(&body, SLICE("openai"));
    digest_add(&body, SLICE("{\"messages\":["));
    idempotency_end(again, SLICE("task-1"), 1, &body);
    digest_add(&body, SLICE("1,2]}")); /* the end of the first did not end it */
    assert_int_equal(idempotency_end(key, SLICE("task-1"), 3, &body), strlen("task-1/3/00000000"));
    assert_string_equal(key, "task-1/3/42e42989");
    assert_string_not_equal(key + strlen("task-1/3/"), again + strlen("task-1/1/"));
    idempotency_begin(&whole, SLICE("openai"));
    digest_add(&whole, SLICE("{\"messages\":[1,2]}"));
    idempotency_end(again, SLICE("task-1"), 3, &whole);
    assert_string_equal(again, key);
}

static void a_header_is_a_string_of_structured_fields(void **state)
{
    char text[IDEMPOTENCY_HEADER_MAX], longest[IDEMPOTENCY_KEY_MAX - 1];
    struct slice header = idempotency_header(text, SLICE("a\\b/3/42e42989"));

    (void)state;
    assert_true(slice_equal(header, SLICE("\"a\\\\b/3/42e42989\"")));
    memset(longest, '\\', sizeof longest);
    assert_int_equal(idempotency_header(text, (struct slice){longest, sizeof longest}).len, 2 * sizeof longest + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_stable_and_tell_calls_apart),
        cmocka_unit_test(a_growing_body_is_hashed_once),
        cmocka_unit_test(a_header_is_a_string_of_structured_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
