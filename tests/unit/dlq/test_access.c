/* access: static tokens by their digest, roles, and where a request comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "access.h"
#include "stepmill/digest.h"

static char file[] = "/tmp/stepmill-tokens-XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_file(void **state)
{
    int fd = mkstemp(file);

    (void)state;
    close(fd);
    return fd < 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

static const char *code_of(struct access *a, const char *authorization, struct who *who)
{
    struct error e = access_check(a, slice_of(authorization), 0, who);

    return failed(e) ? e.code : "";
}

static void tokens_have_names_and_roles(void **state)
{
    struct config config = {.dlq.access = {.tokens_file = file, .anonymous = CONFIG_ROLE_NONE}};
    struct loop *l = loop_new();
    char digest[65], text[256];
    struct access *a;
    struct who who;

    (void)state;
    sha256_text(digest, SLICE("secret-1"));
    snprintf(text, sizeof text, "[{\"name\": \"ci\", \"role\": \"redrive\", \"sha256\": \"%s\"}]", digest);
    write_file(text);
    assert_false(failed(access_new(l, &config, NULL, NULL, &a)));
    assert_string_equal(code_of(a, "Bearer secret-1", &who), "");
    assert_string_equal(who.name, "ci");
    assert_int_equal(who.role, CONFIG_ROLE_REDRIVE);
    assert_string_equal(who_kind_name(&who), "token");
    assert_string_equal(code_of(a, "bearer secret-1", &who), "");
    assert_string_equal(code_of(a, "Bearer secret-2", &who), "token_unknown");
    assert_string_equal(code_of(a, "Bearer secret-1 ", &who), "token_unknown");
    assert_string_equal(code_of(a, "Bearer ", &who), "token_malformed");
    assert_string_equal(code_of(a, "Basic secret-1", &who), "token_malformed");
    assert_string_equal(code_of(a, "", &who), "token_malformed");
    assert_string_equal(code_of(a, "Bearer a.b.c", &who), "token_unknown"); /* no issuer is configured */
    assert_string_equal(code_of(a, NULL, &who), "no_token");
    config.dlq.access.anonymous = CONFIG_ROLE_VIEW;
    assert_string_equal(code_of(a, NULL, &who), "");
    assert_int_equal(who.role, CONFIG_ROLE_VIEW);
    assert_string_equal(code_of(a, "Bearer secret-2", &who), "token_unknown"); /* a wrong token is no anonymous caller */
    write_file("not JSON");
    access_reload(a, &config);
    assert_string_equal(code_of(a, "Bearer secret-1", &who), ""); /* what was read before stays in force */
    access_free(a);
    loop_free(l);
}

static void bad_files_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "{}",
                                      "[1]",
                                      "[{\"name\":\"a\",\"role\":\"boss\",\"sha256\":\"00\"}]",
                                      "[{\"name\":\"a\",\"role\":\"view\",\"sha256\":\"00\"}]",
                                      "[{\"name\":\"\",\"role\":\"view\",\"sha256\":\"00\"}]"};
    struct config config = {.dlq.access = {.tokens_file = file}};
    struct loop *l = loop_new();
    struct access *a;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i]);
        assert_true(failed(access_new(l, &config, NULL, NULL, &a)));
        assert_null(a);
    }
    loop_free(l);
}

static void origins_are_told_apart(void **state)
{
    const struct slice none = {NULL, 0}, host = SLICE("127.0.0.1:8090");

    (void)state;
    assert_true(host_is_ours(host, "127.0.0.1:8090", NULL));
    assert_true(host_is_ours(SLICE("DLQ.example.com"), "0.0.0.0:8090", "https://dlq.example.com/x"));
    assert_false(host_is_ours(SLICE("evil.example"), "127.0.0.1:8090", "https://dlq.example.com/"));
    assert_false(host_is_ours(SLICE("127.0.0.1.evil.example:8090"), "127.0.0.1:8090", NULL));
    assert_false(host_is_ours(none, "127.0.0.1:8090", NULL));
    assert_false(is_cross_site(host, none, none));
    assert_false(is_cross_site(host, SLICE("http://127.0.0.1:8090"), SLICE("same-origin")));
    assert_true(is_cross_site(host, SLICE("http://127.0.0.1:9999"), none));
    assert_true(is_cross_site(host, SLICE("null"), none));
    assert_true(is_cross_site(host, none, SLICE("cross-site")));
    assert_true(is_cross_site(host, none, SLICE("same-site")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_have_names_and_roles),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(origins_are_told_apart),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
