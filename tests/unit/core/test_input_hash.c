/* Input hash and fingerprint: what must make a difference, and what must not. */
#include "helper_unit.h"
#include "stepmill/fingerprint.h"
#include "stepmill/input_hash.h"

static struct context_entry context[] = {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}};

static struct task_input sample(void)
{
    return (struct task_input){SLICE("t"), SLICE("src"), SLICE("dst"), SLICE("s"), SLICE("p"), context, 2,
                               1,          -1,           -1,           -1,         {NULL, 0}};
}

static struct digest hash_of(struct task_input t) { return input_hash(&t); }

static void every_part_of_the_work_counts(void **state)
{
    static struct context_entry moved[] = {{SLICE("a1"), SLICE("")}, {SLICE("b"), SLICE("2")}};
    struct task_input t[12];
    struct digest first = hash_of(sample());

    (void)state;
    for (int i = 0; i < 12; i++)
        t[i] = sample();
    t[0].task_id = SLICE("t2");
    t[1].source_agent = SLICE("sr"), t[1].target_agent = SLICE("cdst"); /* the same letters, cut elsewhere */
    t[2].target_agent = SLICE("");
    t[3].session_id = SLICE("s2");
    t[4].prompt = SLICE("");
    t[5].context = moved;
    t[6].ncontext = 1;
    t[7].max_steps = 10;
    t[8].token_budget = 8192;
    t[9].parent_task_id = SLICE("");
    t[10].parent_task_id = SLICE("x");
    t[11].max_steps = 8192, t[11].token_budget = -1;
    for (int i = 0; i < 12; i++) {
        struct digest d = hash_of(t[i]);

        assert_false(digest_equal(&first, &d));
        for (int j = 0; j < i; j++) {
            struct digest other = hash_of(t[j]);

            assert_false(digest_equal(&other, &d));
        }
    }
}

static void when_it_was_made_does_not_count(void **state)
{
    struct task_input t = sample();
    struct digest first = hash_of(t), again;

    (void)state;
    t.created_at_ms = 99;
    t.deadline_at_ms = 1234;
    again = input_hash(&t);
    assert_true(digest_equal(&first, &again));
}

/* The hash lies in Redis for days and is compared across versions: it may never change. */
static void the_hash_of_a_task_stays(void **state)
{
    struct digest d = hash_of(sample());
    char text[2 * DIGEST_SIZE + 1];

    (void)state;
    digest_text(text, &d);
    assert_string_equal(text, "9efef13f03c7c519798d7330f7d6ea53");
}

static void assert_normal(const char *message, const char *normal)
{
    struct buf b = BUF(64 * 1024);

    fingerprint_normalise(slice_of(message), &b);
    assert_string_equal(buf_text(&b), normal);
    buf_free(&b);
}

static void what_differs_from_case_to_case_is_taken_out(void **state)
{
    (void)state;
    assert_normal("Timeout after 30000 ms", "timeout after <id> ms");
    assert_normal("no answer from 10.0.0.7:8443, attempt 3", "no answer from <id>, attempt <id>");
    assert_normal("task 0af76519-16cd-43dd failed", "task <id> failed");
    assert_normal("digest deadbeefcafe differs", "digest <id> differs");
    assert_normal("field \"prompt\" is   wrong", "field <text> is wrong");
    assert_normal("it's the user's `model`", "it's the user's <text>");
    assert_normal("mail to ann@example.org", "mail to <id>");
    assert_normal("an open \" quote", "an open \" quote");
    assert_normal("a faded facade", "a faded facade"); /* words, not hex */
    assert_normal("", "");
}

static void like_failures_have_one_fingerprint(void **state)
{
    char a[FINGERPRINT_LENGTH + 1], b[FINGERPRINT_LENGTH + 1];

    (void)state;
    fingerprint(a, SLICE("again"), SLICE("model"), SLICE("timeout after 30000 ms at 10.1.1.1"));
    fingerprint(b, SLICE("again"), SLICE("model"), SLICE("timeout after 12 ms at 10.1.1.9"));
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), FINGERPRINT_LENGTH);
    fingerprint(b, SLICE("again"), SLICE("tool"), SLICE("timeout after 12 ms at 10.1.1.9"));
    assert_string_not_equal(a, b);
    fingerprint(b, SLICE("timeout"), SLICE("model"), SLICE("timeout after 12 ms at 10.1.1.9"));
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_the_work_counts),      cmocka_unit_test(when_it_was_made_does_not_count),
        cmocka_unit_test(the_hash_of_a_task_stays),           cmocka_unit_test(what_differs_from_case_to_case_is_taken_out),
        cmocka_unit_test(like_failures_have_one_fingerprint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
