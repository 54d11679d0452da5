/* Addresses: whether only this machine can reach them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stepmill/address.h"

static void hosts_are_cut_out(void **state)
{
    (void)state;
    assert_true(slice_is(address_host(SLICE("h:80")), "h"));
    assert_true(slice_is(address_host(SLICE("h")), "h"));
    assert_true(slice_is(address_host(SLICE("[::1]:80")), "::1"));
    assert_true(slice_is(address_host(SLICE(":80")), ""));
    assert_null(address_host((struct slice){NULL, 0}).at);
}

static void loopback_is_told_by_the_text(void **state)
{
    static const char *const ours[] = {"127.0.0.1:80", "127.1.2.3", "[::1]:80", "localhost:80", "LocalHost"};
    static const char *const others[] = {
        ":80", "0.0.0.0:80", "[::]:80", "localhost.example.com:80", "127.0.0.1.example.com:80", "10.0.0.1:1", "1127.0.0.1", ""};

    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!address_is_loopback(slice_of(ours[i])))
            fail_msg("%s is ours", ours[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (address_is_loopback(slice_of(others[i])))
            fail_msg("%s is not ours", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_cut_out),
        cmocka_unit_test(loopback_is_told_by_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
