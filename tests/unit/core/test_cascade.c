/* cascade, endpoints and the systemic breaker: attempts, rounds, outages (DELIVERY §5). */
#include "helper_unit.h"

#include "stepmill/cascade.h"
#include "stepmill/systemic.h"

static const struct endpoint_policy breaker = {5, 30000};
static const struct cascade_policy policy = {3, 1000, 15000};
static const struct error again = {CLASS_AGAIN, "timeout", "x"}, slow = {CLASS_SLOW_DOWN, "429", "x"},
                          wait = {CLASS_WAIT, "401", "x"}, rejected = {CLASS_REJECTED, "400", "x"};

struct bench {
    struct endpoint e[2];
    struct endpoint *both[2];
    struct cascade c;
    uint64_t seed;
    int64_t now;
};

static struct bench make(void) { return (struct bench){.seed = 7, .now = 1000000}; }

static struct cascade_choice next(struct bench *b, size_t n)
{
    b->both[0] = &b->e[0];
    b->both[1] = &b->e[1];
    return cascade_next(&b->c, b->both, n, &policy, b->now, &b->seed);
}

static void fail_call(struct bench *b, size_t model, struct error error, int64_t retry_after)
{
    endpoint_failed(&b->e[model], &breaker, error, retry_after, b->now, &b->seed);
    cascade_failed(&b->c, model, error, b->now);
}

static void the_next_model_is_asked_at_once(void **state)
{
    struct bench b = make();
    struct cascade_choice c = next(&b, 2);

    (void)state;
    assert_int_equal(c.next, CASCADE_CALL);
    assert_int_equal(c.model, 0);
    fail_call(&b, 0, again, -1);
    c = next(&b, 2);
    assert_int_equal(c.next, CASCADE_CALL);
    assert_int_equal(c.model, 1);
    fail_call(&b, 1, again, -1);
    c = next(&b, 2);
    assert_int_equal(c.next, CASCADE_BACKOFF);
    assert_in_range(c.until_ms - b.now, 1000, 15000);
    b.now = c.until_ms;
    assert_int_equal(next(&b, 2).model, 0); /* a new round begins with the first */
}

static void rounds_end_only_when_others_are_answered(void **state)
{
    (void)state;
    for (int others = 0; others < 2; others++) {
        struct bench b = make();
        struct cascade_choice c = {.next = CASCADE_BACKOFF};

        for (int round = 0; round < 3; round++) {
            c = next(&b, 1);
            assert_int_equal(c.next, CASCADE_CALL);
            fail_call(&b, 0, again, -1);
            b.now += 100;
            if (others)
                endpoint_answered(&b.e[0], b.now);
            c = next(&b, 1);
            if (c.next == CASCADE_BACKOFF)
                b.now = c.until_ms;
        }
        assert_int_equal(c.next, others ? CASCADE_EXHAUSTED : CASCADE_WAIT);
    }
}

static void who_failed_is_asked_again_before_who_is_closed_for_an_hour(void **state)
{
    struct bench b = make();
    struct cascade_choice c;

    (void)state;
    fail_call(&b, 1, slow, 3600 * 1000);
    assert_int_equal(next(&b, 2).model, 0);
    fail_call(&b, 0, again, -1);
    c = next(&b, 2);
    assert_int_equal(c.next, CASCADE_BACKOFF);
    assert_in_range(c.until_ms - b.now, 1000, 15000);
    b.now = c.until_ms;
    c = next(&b, 2);
    assert_int_equal(c.next, CASCADE_CALL);
    assert_int_equal(c.model, 0);
}

static void slow_down_uses_no_attempt(void **state)
{
    struct bench b = make();
    struct cascade_choice c;

    (void)state;
    assert_int_equal(next(&b, 2).model, 0);
    fail_call(&b, 0, slow, 5000);
    c = next(&b, 2);
    assert_int_equal(c.model, 1);
    fail_call(&b, 1, slow, 9000);
    c = next(&b, 2);
    assert_int_equal(c.next, CASCADE_WAIT);
    assert_int_equal(c.until_ms, b.now + 5000);
    assert_int_equal(b.c.rounds, 0);
    b.now += 5000;
    assert_int_equal(next(&b, 2).next, CASCADE_CALL);
}

static void every_model_rejecting_is_the_tasks_fault(void **state)
{
    struct bench b = make();

    (void)state;
    assert_int_equal(next(&b, 2).model, 0);
    fail_call(&b, 0, rejected, -1);
    assert_int_equal(b.e[0].failures, 0); /* a 400 is an answer: the endpoint is healthy */
    assert_int_equal(next(&b, 2).model, 1);
    fail_call(&b, 1, rejected, -1);
    assert_int_equal(next(&b, 2).next, CASCADE_REJECTED);
}

static void the_breaker_opens_probes_and_closes(void **state)
{
    struct bench b = make();
    struct endpoint *e = &b.e[0];
    bool opened = false;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(endpoint_admit(e, b.now));
        opened = endpoint_failed(e, &breaker, again, -1, b.now, &b.seed);
        assert_int_equal(opened, i == 4);
    }
    assert_false(endpoint_admit(e, b.now + 29999));
    b.now += 30000;
    assert_true(endpoint_admit(e, b.now));
    assert_false(endpoint_admit(e, b.now));                                /* one probe */
    assert_false(endpoint_failed(e, &breaker, again, -1, b.now, &b.seed)); /* no new alert */
    assert_false(endpoint_admit(e, b.now + 29999));
    b.now += 30000;
    assert_true(endpoint_admit(e, b.now));
    endpoint_probe_over(e, e->probe);
    assert_true(endpoint_admit(e, b.now)); /* a cancelled probe is given back */
    endpoint_answered(e, b.now);
    assert_true(endpoint_admit(e, b.now) && endpoint_admit(e, b.now));
    assert_true(endpoint_failed(e, &breaker, wait, -1, b.now, &b.seed)); /* a revoked key opens it at once */
    assert_int_equal(next(&b, 1).next, CASCADE_WAIT);
}

/* Calls from before the breaker opened are cancelled beside the probe: that must not send a second one, nor close the breaker. */
static void only_the_probe_itself_gives_the_probe_back(void **state)
{
    struct bench b = make();
    struct endpoint *e = &b.e[0];
    uint32_t first;

    (void)state;
    assert_true(endpoint_failed(e, &breaker, wait, -1, b.now, &b.seed));
    b.now += 30000;
    first = next(&b, 1).probe;
    assert_int_not_equal(first, 0);
    endpoint_probe_over(e, 0); /* an older call was cancelled */
    endpoint_failed(e, &breaker, (struct error){CLASS_LOST, "lost", "x"}, -1, b.now, &b.seed);
    assert_int_equal(next(&b, 1).next, CASCADE_WAIT);
    endpoint_failed(e, &breaker, again, -1, b.now, &b.seed); /* an older call failed: the pause begins again */
    b.now += 30000;
    b.c = (struct cascade){0};
    assert_int_equal(next(&b, 1).next, CASCADE_CALL);
    endpoint_probe_over(e, first); /* the first probe is cancelled while the second is out */
    assert_int_equal(next(&b, 1).next, CASCADE_WAIT);
    endpoint_probe_over(e, e->probe); /* the task of the second is lost: the next task asks */
    assert_int_equal(next(&b, 1).next, CASCADE_CALL);
    assert_true(e->open_until_ms); /* nothing of all this was a good answer */
    endpoint_answered(e, b.now);
    assert_int_equal(next(&b, 1).probe, 0);
}

static void backoff_is_full_jitter_within_its_bounds(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int32_t attempt = 0; attempt < 70; attempt++)
        for (int i = 0; i < 50; i++) {
            int64_t ms = backoff_ms(1000, 15000, attempt, &seed);

            assert_in_range(ms, 1000, attempt == 0 ? 2000 : 15000);
        }
    assert_int_equal(backoff_ms(5, 5, 3, &seed), 5);
}

static void a_systemic_cause_stops_the_drain(void **state)
{
    struct systemic s = {.n = 0};
    uint32_t cause = systemic_cause(SLICE("model_http_400"), SLICE("model")),
             other = systemic_cause(SLICE("agent_deadline"), SLICE("deadline"));
    int64_t look, now = 1000;
    bool opened = false;

    (void)state;
    assert_int_not_equal(cause, other);
    for (int i = 0; i < 49; i++)
        opened |= systemic_ended(&s, i % 3 ? cause : 0, now);
    assert_false(opened);
    assert_true(systemic_ended(&s, cause, now));
    for (int i = 0; i < 20; i++) /* these were about to end: the pause stays what it is */
        assert_false(systemic_ended(&s, cause, now + 100));
    assert_false(systemic_admits(&s, 0, now));
    assert_true(systemic_holds(&s, cause, now, &look));
    assert_int_equal(look, now + 30000);
    assert_false(systemic_holds(&s, other, now, &look));
    now += 30000;
    assert_true(systemic_admits(&s, 0, now));
    assert_false(systemic_admits(&s, 1, now));           /* one at a time */
    assert_false(systemic_holds(&s, cause, now, &look)); /* one may end, however many wait beside it */
    assert_true(systemic_holds(&s, cause, now, &look));
    assert_int_equal(look, now + 30000);
    assert_false(systemic_ended(&s, cause, now));
    assert_false(systemic_ended(&s, cause, now));
    assert_false(systemic_admits(&s, 0, now + 59999)); /* doubled, once */
    assert_false(systemic_ended(&s, other, now));      /* nobody got through: all that wait go on waiting */
    assert_true(systemic_holds(&s, cause, now + 100, &look));
    assert_true(systemic_admits(&s, 0, now + 60000));
    assert_false(systemic_ended(&s, 0, now + 60000)); /* somebody got through */
    assert_true(systemic_admits(&s, 100, now + 60000));
}

/* A 429 uses no attempt: without a pause of its own a server's "Retry-After: 0" would be a loop of calls. */
static void retry_after_zero_is_a_pause_too(void **state)
{
    struct bench b = make();
    int64_t closed;

    (void)state;
    fail_call(&b, 0, slow, 0);
    closed = endpoint_ready_ms(&b.e[0], b.now) - b.now;
    assert_true(closed >= 1000);
    assert_false(endpoint_admit(&b.e[0], b.now));
    assert_true(endpoint_admit(&b.e[0], b.now + closed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_model_is_asked_at_once),
        cmocka_unit_test(rounds_end_only_when_others_are_answered),
        cmocka_unit_test(who_failed_is_asked_again_before_who_is_closed_for_an_hour),
        cmocka_unit_test(slow_down_uses_no_attempt),
        cmocka_unit_test(every_model_rejecting_is_the_tasks_fault),
        cmocka_unit_test(the_breaker_opens_probes_and_closes),
        cmocka_unit_test(backoff_is_full_jitter_within_its_bounds),
        cmocka_unit_test(a_systemic_cause_stops_the_drain),
        cmocka_unit_test(retry_after_zero_is_a_pause_too),
        cmocka_unit_test(only_the_probe_itself_gives_the_probe_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
