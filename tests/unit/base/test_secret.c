/* References to the environment and secret files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/secret.h"

static const char *const variables[] = {"A=1", "LONG=$${A}", "EMPTY=", "AB=2", NULL};

static void assert_expands(const char *text, const char *wanted, bool references, bool literal)
{
    struct buf to = BUF(1 << 20);
    struct secret_use use;

    buf_put_text(&to, ">");
    assert_false(failed(secret_expand(slice_of(text), (char *const *)variables, &to, &use)));
    assert_string_equal(buf_text(&to) + 1, wanted);
    assert_int_equal(use.references, references);
    assert_int_equal(use.literal, literal);
    buf_free(&to);
}

static void assert_refused(const char *text, const char *code, const char *missing)
{
    struct buf to = BUF(1 << 20);
    struct secret_use use;
    struct error e;

    buf_put_text(&to, ">");
    e = secret_expand(slice_of(text), (char *const *)variables, &to, &use);
    assert_true(failed(e));
    assert_string_equal(e.code, code);
    assert_string_equal(use.missing, missing);
    assert_string_equal(buf_text(&to), ">");
    buf_free(&to);
}

static void references_are_replaced_once(void **state)
{
    (void)state;
    assert_expands("", "", false, false);
    assert_expands("plain $A $", "plain $A $", false, true);
    assert_expands("${A}", "1", true, false);
    assert_expands("${A}${AB}", "12", true, false);
    assert_expands("Bearer ${A}", "Bearer 1", true, true);
    assert_expands("${LONG}", "$${A}", true, false);
    assert_expands("$${A}", "${A}", false, true);
    assert_expands("${EMPTY}", "", true, false);
    assert_expands("${EMPTY:-x y}", "x y", true, false);
    assert_expands("${NO:-}", "", true, false);
    assert_expands("${A:-x}", "1", true, false);
}

static void what_is_missing_or_wrong_is_said(void **state)
{
    struct buf large = BUF(1 << 20);

    (void)state;
    assert_refused("${NO}", "secret_missing", "NO");
    assert_refused("x${A}${B_9}", "secret_missing", "B_9");
    assert_refused("${}", "secret_syntax", "");
    assert_refused("${A", "secret_syntax", "");
    assert_refused("${9A}", "secret_syntax", "");
    assert_refused("${A:x}", "secret_syntax", "");
    assert_refused("${A-B}", "secret_syntax", "");
    for (int i = 0; i <= SECRET_MAX; i++)
        buf_put_byte(&large, 'x');
    assert_refused(buf_text(&large), "secret_too_large", "");
    buf_free(&large);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static struct error read_back(const char *path, const char *bytes, size_t n, struct buf *to)
{
    write_file(path, bytes, n);
    buf_clear(to);
    return secret_read_file(path, to);
}

static void files_lose_one_line_end(void **state)
{
    char path[] = "/tmp/stepmill-secret-XXXXXX";
    int fd = mkstemp(path);
    struct buf to = BUF(1 << 20);
    static char large[SECRET_MAX + 1];

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_false(failed(read_back(path, "key\n", 4, &to)));
    assert_string_equal(buf_text(&to), "key");
    assert_false(failed(read_back(path, "a\nb\r\n", 5, &to)));
    assert_string_equal(buf_text(&to), "a\nb");
    assert_false(failed(read_back(path, " key ", 5, &to)));
    assert_string_equal(buf_text(&to), " key ");
    assert_string_equal(read_back(path, "\n", 1, &to).code, "secret_empty");
    assert_string_equal(read_back(path, "a\0b", 3, &to).code, "secret_binary");
    memset(large, 'x', sizeof large);
    assert_string_equal(read_back(path, large, sizeof large, &to).code, "secret_too_large");
    assert_false(failed(read_back(path, large, sizeof large - 1, &to)));
    assert_int_equal(to.len, SECRET_MAX);
    unlink(path);
    assert_string_equal(secret_read_file(path, &to).code, "secret_unreadable");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(secret_read_file("/", &to).code, "secret_unreadable");
    assert_int_equal(errno, EISDIR);
    buf_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_replaced_once),
        cmocka_unit_test(what_is_missing_or_wrong_is_said),
        cmocka_unit_test(files_lose_one_line_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
