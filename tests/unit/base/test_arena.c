/* The arena: alignment, zeroes, its ceiling, and copies. And the intrusive list, which needs no more than a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdalign.h>
#include <stdlib.h>

#include "stepmill/arena.h"
#include "stepmill/list.h"
#include "stepmill/random.h"

static void pieces_are_aligned_zeroed_and_apart(void **state)
{
    enum { PIECES = 2000 };
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    struct arena *a = arena_new(64 << 20);
    uint64_t seed = 1;

    (void)state;
    assert_non_null(a);
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = (size_t)random_below(&seed, i % 50 == 0 ? 9000 : 200);
        pieces[i] = arena_alloc(a, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) /* none overwrote another */
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], i % 251);
    arena_free(a);
    arena_free(NULL);
}

/* Whatever the sizes asked for, the arena never holds more than its ceiling, and small pieces can use all of it but a block's
 * head. */
static void the_ceiling_holds(void **state)
{
    (void)state;
    for (size_t max = 0; max < 20000; max += 97) {
        struct arena *a = arena_new(max);
        size_t got = 0;

        assert_non_null(a);
        while (arena_alloc(a, 48))
            got += 48;
        if (max > 1000)
            assert_true(got > max * 9 / 10 - 700);
        assert_true(arena_size(a) <= max || got == 0);
        assert_null(arena_alloc(a, SIZE_MAX));
        assert_null(arena_alloc(a, SIZE_MAX - 40));
        assert_null(arena_alloc(a, max + 1));
        arena_free(a);
    }
}

static void large_pieces_leave_the_open_block_open(void **state)
{
    struct arena *a = arena_new(1 << 20);
    size_t before;

    (void)state;
    assert_non_null(arena_alloc(a, 16));
    assert_non_null(arena_alloc(a, 50000));
    before = arena_size(a);
    assert_non_null(arena_alloc(a, 1000)); /* still fits the first block */
    assert_int_equal(arena_size(a), before);
    arena_free(a);
}

static void copies_are_terminated_and_absent_stays_absent(void **state)
{
    struct arena *a = arena_new(4096), *none = arena_new(0);
    char text[] = "abc";
    struct slice copy = arena_copy(a, (struct slice){text, 3});

    (void)state;
    text[0] = 'x';
    assert_string_equal(copy.at, "abc");
    assert_int_equal(copy.len, 3);
    assert_null(arena_copy(a, (struct slice){NULL, 0}).at);
    assert_string_equal(arena_copy(a, SLICE("")).at, "");
    assert_null(arena_copy(none, SLICE("abc")).at);
    arena_free(a);
    arena_free(none);
}

struct item {
    int number;
    struct list_node node;
};

static void expect_order(const struct list *l, const char *want)
{
    const struct list_node *back = NULL;
    size_t n = 0;

    for (const struct list_node *at = l->first; at; back = at, at = at->next, n++) {
        assert_int_equal(list_entry(at, struct item, node)->number, want[n] - '0');
        assert_ptr_equal(at->prev, back);
        assert_ptr_equal(at->list, l);
    }
    assert_int_equal(n, strlen(want));
    assert_int_equal(l->count, n);
    assert_ptr_equal(l->last, back);
}

static void lists_link_and_unlink(void **state)
{
    struct list l = {0}, other = {0};
    struct item items[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        items[i] = (struct item){.number = i};
    list_append(&l, &items[1].node);
    list_append(&l, &items[2].node);
    list_prepend(&l, &items[0].node);
    list_insert_after(&l, &items[1].node, &items[3].node);
    expect_order(&l, "0132");
    list_insert_after(&l, NULL, &items[4].node);
    expect_order(&l, "40132");
    list_remove(&items[3].node); /* middle, last, first, then one that is not linked */
    list_remove(&items[2].node);
    list_remove(&items[4].node);
    list_remove(&items[4].node);
    expect_order(&l, "01");
    list_append(&other, &items[3].node);
    assert_ptr_equal(list_take_first(&l), &items[0].node);
    assert_ptr_equal(list_take_first(&l), &items[1].node);
    assert_null(list_take_first(&l));
    expect_order(&l, "");
    expect_order(&other, "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_zeroed_and_apart),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(large_pieces_leave_the_open_block_open),
        cmocka_unit_test(copies_are_terminated_and_absent_stays_absent),
        cmocka_unit_test(lists_link_and_unlink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
