/* stepmill-sim: runs histories from seeds, counts them, and shows the first that breaks a promise, made as short as it will go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "stepmill/error.h"

/* Workers that are killed keep their memory, as nobody frees it; a child of this process takes it along when it ends. */
enum { BATCH = 50, CHILD_SECONDS = 120, SHRINK_PASSES = 3 };

struct settings {
    uint64_t seed, count; /* count 0: until the time is over */
    double seconds;
    const char *rule_off;
    bool told, shrink, keep_going;
};

/* Of one child, in shared memory: what it has done so far, also when it dies. */
struct report {
    uint64_t done;      /* histories */
    uint64_t running;   /* seed */
    uint64_t bad;       /* with a violation */
    uint64_t first_bad; /* seed */
    uint64_t turns, things;
    struct history_outcome outcome; /* of the first bad one, or of the only one */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *shared(size_t n)
{
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        bug("no shared memory");
    return at;
}

static void count(struct report *r, const struct history_outcome *o)
{
    r->done++;
    r->turns += o->turns;
    r->things += o->noptional;
    if (r->bad == 0)
        r->outcome = *o;
    if (o->violations && r->bad++ == 0)
        r->first_bad = r->running;
}

static void run_child(const struct settings *s, uint64_t from, uint64_t n, const bool *left_out, struct report *r)
{
    alarm(CHILD_SECONDS); /* a history that never ends is a finding too */
    for (uint64_t seed = from; seed < from + n && (r->bad == 0 || s->keep_going); seed++) {
        struct history_outcome outcome;

        r->running = seed;
        history_run(&(struct history_options){.seed = seed, .rule_off = s->rule_off, .told = s->told, .left_out = left_out},
                    &outcome);
        count(r, &outcome);
    }
    fflush(stdout);
    _exit(0);
}

/* Histories `from` … in a child. A child that dies has broken something too. */
static void run_batch(const struct settings *s, uint64_t from, uint64_t n, const bool *left_out, struct report *r)
{
    int status;
    pid_t child;

    memset(r, 0, sizeof *r);
    fflush(stdout);
    child = fork();
    if (child < 0)
        bug("no more processes");
    if (child == 0)
        run_child(s, from, n, left_out, r);
    if (waitpid(child, &status, 0) < 0)
        bug("the child is gone");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (r->bad++ == 0)
        r->first_bad = r->running;
    r->outcome.violations++;
    snprintf(r->outcome.rule, sizeof r->outcome.rule, "died-by-%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static bool still_bad(const struct settings *s, uint64_t seed, const bool *left_out, const char *rule, struct report *r)
{
    struct settings quiet = *s;

    quiet.told = false;
    run_batch(&quiet, seed, 1, left_out, r);
    return r->bad && !strcmp(r->outcome.rule, rule);
}

/* Leaves out one thing after another, halves first, as long as the same promise is broken. */
static size_t shrink(const struct settings *s, uint64_t seed, const char *rule, bool *left_out, struct report *r)
{
    size_t things, left;

    if (!still_bad(s, seed, left_out, rule, r))
        return 0;
    things = r->outcome.noptional;
    for (size_t step = things / 2 ? things / 2 : 1; step > 0; step /= 2)
        for (int pass = 0; pass < (step == 1 ? SHRINK_PASSES : 1); pass++)
            for (size_t at = 0; at < things && at < LEFT_OUT_MAX; at += step) {
                bool kept[LEFT_OUT_MAX];

                memcpy(kept, left_out, sizeof kept);
                for (size_t i = at; i < at + step && i < LEFT_OUT_MAX; i++)
                    left_out[i] = true;
                if (!memcmp(kept, left_out, sizeof kept))
                    continue;
                if (still_bad(s, seed, left_out, rule, r))
                    things = r->outcome.noptional;
                else
                    memcpy(left_out, kept, sizeof kept);
            }
    (void)still_bad(s, seed, left_out, rule, r);
    left = 0;
    for (size_t i = 0; i < r->outcome.noptional && i < LEFT_OUT_MAX; i++)
        left += !left_out[i];
    return left;
}

static void show(const struct settings *s, uint64_t seed, const char *rule)
{
    bool *left_out = shared(LEFT_OUT_MAX * sizeof *left_out);
    struct report *r = shared(sizeof *r);
    struct settings told = *s;
    size_t left;

    printf("seed %llu breaks a promise: %s\n", (unsigned long long)seed, rule);
    if (s->shrink) {
        left = shrink(s, seed, rule, left_out, r);
        printf("shortest history found: %zu records and faults, %.1f s\n", left, (double)r->outcome.ended_ms / 1000);
    }
    told.told = true;
    run_batch(&told, seed, 1, left_out, r);
}

static int run(const struct settings *s)
{
    struct report *r = shared(sizeof *r);
    uint64_t done = 0, bad = 0, first = 0, turns = 0, things = 0;
    double began = now(), took;
    char rule[64] = "";

    for (uint64_t seed = s->seed; (!s->count || done < s->count) && (s->count || now() - began < s->seconds);) {
        uint64_t n = s->count && s->count - done < BATCH ? s->count - done : BATCH;

        run_batch(s, seed, n, NULL, r);
        if (r->bad && !bad) {
            first = r->first_bad;
            snprintf(rule, sizeof rule, "%s", r->outcome.rule);
        }
        done += r->done;
        bad += r->bad;
        turns += r->turns;
        things += r->things;
        seed += n;
        if (bad && !s->keep_going)
            break;
    }
    took = now() - began;
    if (bad && !s->told)
        show(s, first, rule);
    printf("%llu histories, %llu with violations, seeds %llu-%llu, %.1f s, %.0f/s; %llu records and faults, %llu turns\n",
           (unsigned long long)done, (unsigned long long)bad, (unsigned long long)s->seed,
           (unsigned long long)(s->seed + (done ? done - 1 : 0)), took, (double)done / took, (unsigned long long)things,
           (unsigned long long)turns);
    return bad != 0;
}

static int usage(void)
{
    fputs("usage: stepmill-sim [--seed N] [--count N | --seconds S] [--off RULE] [--timeline] [--no-shrink] [--keep-going]\n"
          "  --seed N      the first seed (1); the following histories take the next ones\n"
          "  --count N     so many histories; 0: until --seconds (10) are over\n"
          "  --off RULE    switches a safety rule off: a violation must be found (tests/sim/README.md lists them)\n"
          "  --timeline    tell all that happens\n"
          "  --keep-going  count all violations instead of stopping at the first\n"
          "Exit 0: no violation, 1: some, 2: usage.\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct settings s = {.seed = 1, .seconds = 10, .shrink = true};

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (!strcmp(argv[i], "--timeline"))
            s.told = true;
        else if (!strcmp(argv[i], "--no-shrink"))
            s.shrink = false;
        else if (!strcmp(argv[i], "--keep-going"))
            s.keep_going = true;
        else if (!value)
            return usage();
        else if (!strcmp(argv[i], "--seed"))
            s.seed = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--count"))
            s.count = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--seconds"))
            s.seconds = strtod(argv[++i], NULL);
        else if (!strcmp(argv[i], "--off"))
            s.rule_off = argv[++i];
        else
            return usage();
    }
    if (s.told && !s.count)
        s.count = 1;
    return run(&s);
}
