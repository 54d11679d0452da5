/* stepmill-sim: runs histories from seeds, counts them, and shows the first that breaks a promise, made as short as it will go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

enum { TOLD_SECONDS = 60 };

static void show(const struct settings *s, const struct report *bad)
{
    struct cut *cut = run_shared(sizeof *cut);
    struct report *r = run_shared(sizeof *r);
    struct settings told = *s;
    char rule[sizeof bad->outcome.rule];
    uint64_t seed = bad->first_bad;

    snprintf(rule, sizeof rule, "%s", bad->outcome.rule);
    printf("seed %llu breaks a promise: %s: %s\n", (unsigned long long)seed, rule, bad->outcome.text);
    if (s->shrink) {
        size_t left = shrink(s, seed, rule, cut, r);

        printf("shortest history found: %zu records and faults, %.1f s\n", left, (double)r->outcome.ended_ms / 1000);
    }
    told.told = true;
    run_one(&told, seed, TOLD_SECONDS, cut, r);
}

static void tell_sum(const struct settings *s, const struct report *sum, double took, double cpu_ms)
{
    uint64_t faults = 0;

    for (int i = 0; i < SIM_FAULTS; i++)
        faults += sum->faults[i];
    printf("simulated %.1f h, %llu faults, %llu turns, fingerprint %016llx\n", (double)sum->simulated_ms / 3.6e6,
           (unsigned long long)faults, (unsigned long long)sum->turns, (unsigned long long)sum->fingerprint);
    printf("%llu histories, %llu with violations, seeds %llu-%llu, %.1f s, %.0f/s, %.2f ms of CPU each\n",
           (unsigned long long)sum->done, (unsigned long long)sum->bad, (unsigned long long)s->seed,
           (unsigned long long)(s->seed + (sum->done ? sum->done - 1 : 0)), took, (double)sum->done / took,
           cpu_ms / (double)(sum->done ? sum->done : 1));
}

static int run(const struct settings *s)
{
    struct report *sum = run_shared(sizeof *sum);
    double began = run_now(), cpu_before = run_cpu_ms(), took, cpu;

    run_many(s, sum);
    took = run_now() - began;
    cpu = run_cpu_ms() - cpu_before; /* whoever became this process had children too */
    if (sum->bad && s->shrink && !s->told)
        show(s, sum);
    else if (sum->bad)
        printf("seed %llu breaks a promise: %s: %s\n", (unsigned long long)sum->first_bad, sum->outcome.rule, sum->outcome.text);
    tell_sum(s, sum, took, cpu);
    return sum->bad != 0;
}

static int usage(void)
{
    fputs("usage: stepmill-sim [--seed N] [--histories N | --seconds S] [--rule-off NAME] [--trace] [--log] [--no-shrink]\n"
          "                    [--keep-going] [--processes N]\n"
          "  --seed N         the first seed (1); the following histories take the next ones\n"
          "  --histories N    so many; else as many as --seconds (10) allow\n"
          "  --rule-off NAME  switches a safety rule off: a violation must be found (tests/sim/README.md lists them)\n"
          "  --trace          tells all that happens in one history; with --log the workers' own log lines too\n"
          "  --keep-going     names every bad seed instead of stopping at the first\n"
          "  --processes N    so many histories at a time (1)\n"
          "Exit 0: no violation, 1: some, 2: usage.\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct settings s = {.seed = 1, .seconds = 10, .processes = 1, .shrink = true};

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (!strcmp(argv[i], "--trace"))
            s.told = true;
        else if (!strcmp(argv[i], "--log"))
            s.told = s.deep = true;
        else if (!strcmp(argv[i], "--no-shrink"))
            s.shrink = false;
        else if (!strcmp(argv[i], "--keep-going"))
            s.keep_going = true;
        else if (!value)
            return usage();
        else if (!strcmp(argv[i], "--seed"))
            s.seed = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--histories"))
            s.count = strtoull(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--seconds"))
            s.seconds = strtod(argv[++i], NULL);
        else if (!strcmp(argv[i], "--rule-off"))
            s.rule_off = argv[++i];
        else if (!strcmp(argv[i], "--processes"))
            s.processes = (int)strtoul(argv[++i], NULL, 10);
        else
            return usage();
    }
    if (s.processes < 1 || s.processes > RUN_PROCESSES_MAX)
        return usage();
    if (s.told && !s.count)
        s.count = 1;
    return run(&s);
}
