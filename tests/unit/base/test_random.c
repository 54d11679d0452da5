/* Random numbers, UUIDs, digests: shape, bounds, known values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stepmill/base64url.h"
#include "stepmill/digest.h"
#include "stepmill/random.h"

static void check_shape(const char *uuid, char version)
{
    assert_int_equal(strlen(uuid), 36);
    for (size_t i = 0; i < 36; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23)
            assert_int_equal(uuid[i], '-');
        else
            assert_non_null(strchr("0123456789abcdef", uuid[i]));
    assert_int_equal(uuid[14], version);
    assert_non_null(strchr("89ab", uuid[19]));
}

static void uuids_have_their_shape(void **state)
{
    struct random_stock stock = {.left = 0};
    char a[37], b[37];

    (void)state;
    for (int i = 0; i < 200; i++) {
        random_uuid4(&stock, a);
        random_uuid4(&stock, b);
        check_shape(a, '4');
        assert_string_not_equal(a, b);
        random_uuid7(a, 0x0123456789ab);
        check_shape(a, '7');
        assert_memory_equal(a, "01234567-89ab-7", 15);
        random_uuid7(b, 0x0123456789ac);
        assert_true(strcmp(a, b) < 0); /* the later one sorts behind */
    }
}

static void a_stock_gives_each_byte_once(void **state)
{
    struct random_stock stock = {.left = 0};
    unsigned char all[300] = {0}, pieces[64][16] = {{0}};
    int zeros = 0;

    (void)state;
    for (size_t i = 0; i < 64; i++) /* four stocks and none left over */
        random_take(&stock, pieces[i], sizeof pieces[i]);
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(pieces[i], pieces[k], sizeof pieces[i]);
    assert_int_equal(stock.left, 0);
    random_take(&stock, pieces[0], 10);
    random_take(&stock, all, sizeof all); /* more than a stock holds */
    for (size_t i = 0; i < sizeof all; i++)
        zeros += all[i] == 0;
    assert_in_range(zeros, 0, 20);
    assert_int_equal(stock.left, sizeof stock.bytes - 10);
}

static void bounded_numbers_stay_in_bounds_and_reach_them(void **state)
{
    uint64_t seed = 42, again = 42;
    int seen[7] = {0};

    (void)state;
    for (int i = 0; i < 7000; i++)
        seen[random_below(&seed, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(random_below(&seed, 0), 0);
    assert_int_equal(random_below(&seed, 1), 0);
    assert_true(random_next(&again) == UINT64_C(0xbdd732262feb6e95)); /* splitmix64 of seed 42 */
}

static void digests_are_sha256_of_the_parts_joined(void **state)
{
    /* FIPS 180-2 example: SHA-256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 … */
    const struct slice parts[] = {SLICE("a"), {NULL, 0}, SLICE("bc")};
    struct digest d = digest_of(parts, 3), empty = digest_of(NULL, 0);
    char text[2 * DIGEST_SIZE + 1];

    (void)state;
    digest_text(text, &d);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223");
    digest_text(text, &empty);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb924");
    assert_false(digest_equal(&d, &empty));
}

static void base64url_as_the_rfc_says(void **state)
{
    static const char *const pairs[][2] = {{"", ""},        {"f", "Zg"},        {"fo", "Zm8"},
                                           {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xfb\xff", "-_8"}};
    char text[20];
    uint8_t bytes[20];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t len = strlen(pairs[i][0]);

        assert_int_equal(base64url_encode(text, (const uint8_t *)pairs[i][0], len), base64url_length(len));
        assert_string_equal(text, pairs[i][1]);
        assert_true(base64url_decode(bytes, &n, text, strlen(text)));
        assert_int_equal(n, len);
        assert_memory_equal(bytes, pairs[i][0], len);
    }
    assert_false(base64url_decode(bytes, &n, "Z", 1));    /* impossible length */
    assert_false(base64url_decode(bytes, &n, "Zh", 2));   /* bits left over that are not zero */
    assert_false(base64url_decode(bytes, &n, "Zg==", 4)); /* padding */
    assert_false(base64url_decode(bytes, &n, "a+b/", 4)); /* the other alphabet */
    assert_false(base64url_decode(bytes, &n, "a\0bc", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uuids_have_their_shape),
        cmocka_unit_test(a_stock_gives_each_byte_once),
        cmocka_unit_test(bounded_numbers_stay_in_bounds_and_reach_them),
        cmocka_unit_test(digests_are_sha256_of_the_parts_joined),
        cmocka_unit_test(base64url_as_the_rfc_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
