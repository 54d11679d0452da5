/* Makes a bad history short: fewer faults and records, as long as the same promise is broken. */
#include <string.h>

#include "run.h"

enum { PASSES = 3 };

static bool still_bad(const struct settings *s, uint64_t seed, const struct cut *cut, const char *rule, struct report *r)
{
    struct settings quiet = *s;

    quiet.told = quiet.deep = quiet.keep_going = false;
    run_batch(&quiet, seed, 1, cut, r);
    return r->bad && !strcmp(r->outcome.rule, rule);
}

/* Tries without `n` things from `at` on. */
static bool leave_out(const struct settings *s, uint64_t seed, const char *rule, struct cut *cut, size_t at, size_t n,
                      struct report *r)
{
    struct cut tried = *cut;

    for (size_t i = at; i < at + n && i < LEFT_OUT_MAX; i++)
        tried.left_out[i] = true;
    if (!memcmp(&tried, cut, sizeof tried) || !still_bad(s, seed, &tried, rule, r))
        return false;
    *cut = tried;
    return true;
}

size_t shrink(const struct settings *s, uint64_t seed, const char *rule, struct cut *cut, struct report *r)
{
    size_t things, left = 0;

    if (!still_bad(s, seed, cut, rule, r))
        return 0;
    things = r->outcome.noptional;
    for (size_t step = things / 2 ? things / 2 : 1; step > 0; step /= 2)
        for (int pass = 0; pass < (step == 1 ? PASSES : 1); pass++)
            for (size_t at = 0; at < things && at < LEFT_OUT_MAX; at += step)
                if (leave_out(s, seed, rule, cut, at, step, r))
                    things = r->outcome.noptional;
    (void)still_bad(s, seed, cut, rule, r);
    for (size_t i = 0; i < r->outcome.noptional && i < LEFT_OUT_MAX; i++)
        left += !cut->left_out[i];
    return left;
}
