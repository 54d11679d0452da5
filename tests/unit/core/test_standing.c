/* standing: the table of DELIVERY §3, row by row, and that the first match counts. */
#include "helper_unit.h"

#include "stepmill/standing.h"

static const struct digest mine = {{1}}, another = {{2}};

static struct origin at(int64_t offset) { return (struct origin){SLICE("agent.tasks.a"), 0, offset}; }

static void the_table_row_by_row(void **state)
{
    const struct standing_cells none = {.any = false}, here = {true, at(10), mine, 0, false},
                                here_again = {true, at(10), mine, 1, false}, elsewhere = {true, at(5), mine, 0, false},
                                failed_elsewhere = {true, at(5), mine, 0, true}, failed_twice = {true, at(5), mine, 2, true},
                                other_input = {true, at(5), another, 0, true};
    const struct standing_done unknown = {.any = false}, done_here = {true, at(10), mine, 0, false},
                               done_elsewhere = {true, at(5), mine, 0, false}, done_failed = {true, at(5), mine, 0, true},
                               done_failed_once = {true, at(5), mine, 1, true}, done_other = {true, at(5), another, 0, true};
    const struct {
        const char *row;
        int32_t h;
        const struct standing_cells *cells;
        const struct standing_done *done;
        enum standing expected;
    } rows[] = {
        {"f new", 0, &none, &unknown, STANDING_NEW},
        {"a resume", 0, &here, &unknown, STANDING_RESUME},
        {"b before a: the cells of a dead letter are kept", 0, &here, &done_here, STANDING_FINISHED},
        {"a although the record says redrive", 1, &here, &unknown, STANDING_RESUME},
        {"a not: another record's run has answered since", 0, &here, &done_elsewhere, STANDING_DUPLICATE},
        {"a not, but c", 0, &here, &done_other, STANDING_CONFLICT},
        {"a although `done` of an older run came late", 1, &here_again, &done_failed, STANDING_RESUME},
        {"b finished", 0, &none, &done_here, STANDING_FINISHED},
        {"b before d", 1, &none, &done_here, STANDING_FINISHED},
        {"c cells", 0, &other_input, &unknown, STANDING_CONFLICT},
        {"c done", 0, &none, &done_other, STANDING_CONFLICT},
        {"c before d", 1, &other_input, &unknown, STANDING_CONFLICT},
        {"d redrive of a failed task", 1, &failed_elsewhere, &unknown, STANDING_REDRIVE},
        {"d redrive, done says failed", 1, &none, &done_failed, STANDING_REDRIVE},
        {"d redrive of what nobody remembers", 1, &none, &unknown, STANDING_REDRIVE},
        {"d second redrive", 3, &failed_twice, &unknown, STANDING_REDRIVE},
        {"e the same redrive again", 2, &failed_twice, &unknown, STANDING_DUPLICATE},
        {"e redrive 1 after redrive 1 was lost from the cells", 1, &failed_elsewhere, &done_failed_once, STANDING_DUPLICATE},
        {"e the same redrive again, cells gone", 1, &none, &done_failed_once, STANDING_DUPLICATE},
        {"e redrive of a running task", 1, &elsewhere, &unknown, STANDING_DUPLICATE},
        {"e redrive of a completed task", 1, &none, &done_elsewhere, STANDING_DUPLICATE},
        {"e duplicate of a running task", 0, &elsewhere, &unknown, STANDING_DUPLICATE},
        {"e duplicate of a failed task", 0, &failed_elsewhere, &unknown, STANDING_DUPLICATE},
        {"e duplicate of a done task", 0, &none, &done_elsewhere, STANDING_DUPLICATE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct standing_record record = {at(10), mine, rows[i].h};
        enum standing got = standing_of(&record, rows[i].cells, rows[i].done);

        if (got != rows[i].expected)
            fail_msg("%s: %s", rows[i].row, standing_name(got));
    }
}

static void origins_differ_in_each_part(void **state)
{
    struct origin a = at(1), topic = at(1), partition = at(1), offset = at(2);

    (void)state;
    topic.topic = SLICE("agent.tasks.b");
    partition.partition = 1;
    assert_true(origin_equal(&a, &a));
    assert_false(origin_equal(&a, &topic));
    assert_false(origin_equal(&a, &partition));
    assert_false(origin_equal(&a, &offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_table_row_by_row), cmocka_unit_test(origins_differ_in_each_part)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
