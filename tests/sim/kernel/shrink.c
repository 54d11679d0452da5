/* Makes a bad history short: fewer faults and records, as long as the same promise is broken. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

enum { PASSES = 3, TIME_S = 30, TELL_EVERY_S = 5 };

struct shrinking {
    const struct settings *settings;
    uint64_t seed;
    const char *rule;
    struct cut *cut;
    struct report *report; /* of the newest try */
    double began, told;
    unsigned tries;
};

static bool time_is_up(const struct shrinking *s) { return run_now() - s->began > TIME_S; }

static size_t count_left(const struct cut *cut, size_t things)
{
    size_t left = 0;

    for (size_t i = 0; i < things && i < LEFT_OUT_MAX; i++)
        left += !cut->left_out[i];
    return left;
}

/* A try that takes longer than what is left of the time is none. */
static bool still_bad(struct shrinking *s, const struct cut *cut)
{
    struct settings quiet = *s->settings;
    double left = TIME_S - (run_now() - s->began);

    quiet.told = quiet.deep = quiet.keep_going = false;
    s->tries++;
    run_one(&quiet, s->seed, left < 1 ? 1 : (unsigned)left + 1, cut, s->report);
    return s->report->bad && !strcmp(s->report->outcome.rule, s->rule);
}

static void tell(struct shrinking *s, size_t things)
{
    if (run_now() - s->told < TELL_EVERY_S)
        return;
    s->told = run_now();
    fprintf(stderr, "shrinking: %.0f of %d s, %u tries, %zu of %zu records and faults left\n", s->told - s->began, TIME_S,
            s->tries, count_left(s->cut, things), things);
}

/* Tries without `n` things from `at` on. */
static bool leave_out(struct shrinking *s, size_t at, size_t n)
{
    struct cut tried = *s->cut;

    for (size_t i = at; i < at + n && i < LEFT_OUT_MAX; i++)
        tried.left_out[i] = true;
    if (!memcmp(&tried, s->cut, sizeof tried) || !still_bad(s, &tried))
        return false;
    *s->cut = tried;
    return true;
}

size_t shrink(const struct settings *settings, uint64_t seed, const char *rule, struct cut *cut, struct report *r)
{
    struct shrinking s = {.settings = settings, .seed = seed, .rule = rule, .cut = cut, .report = r};
    size_t things;

    s.began = s.told = run_now();
    if (!still_bad(&s, cut))
        return 0;
    things = r->outcome.noptional;
    for (size_t step = things / 2 ? things / 2 : 1; step > 0; step /= 2)
        for (int pass = 0; pass < (step == 1 ? PASSES : 1); pass++)
            for (size_t at = 0; at < things && at < LEFT_OUT_MAX && !time_is_up(&s); at += step) {
                if (leave_out(&s, at, step))
                    things = r->outcome.noptional;
                tell(&s, things);
            }
    if (time_is_up(&s))
        printf("shrinking was ended after %d s\n", TIME_S);
    s.began = run_now();
    (void)still_bad(&s, cut);
    return count_left(cut, r->outcome.noptional);
}
