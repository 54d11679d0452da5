/* Runs histories in child processes, several at a time if asked to. */
#include "run.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stepmill/error.h"

enum { HISTORY_SECONDS = 20, LOOK_EVERY_US = 10 * 1000, PROGRESS_EVERY_S = 60 };

/* What the children of one run share. */
struct run {
    _Atomic uint64_t next; /* seed */
    _Atomic bool stop;
    double until; /* run_now() */
    struct report reports[RUN_PROCESSES_MAX];
};

double run_now(void)
{
    struct timespec t;

    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double run_cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

void *run_shared(size_t n)
{
    void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        bug("no shared memory");
    return at;
}

/* ---- In a child */

static void count(struct report *r, const struct history_outcome *o)
{
    r->done++;
    r->turns += o->turns;
    r->fingerprint += o->fingerprint;
    r->simulated_ms += (uint64_t)o->ended_ms;
    for (int i = 0; i < SIM_FAULTS; i++)
        r->faults[i] += o->faults[i];
    if (r->bad == 0)
        r->outcome = *o;
    if (o->violations && r->bad++ == 0)
        r->first_bad = r->running;
}

static bool run_history(const struct settings *s, uint64_t seed, unsigned seconds, const struct cut *cut, struct report *r)
{
    struct history_outcome outcome;

    /* Of CPU time: on a busy machine a history may take minutes. */
    setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {.tv_sec = seconds}}, NULL);
    r->running = seed;
    history_run(
        &(struct history_options){
            .seed = seed, .rule_off = s->rule_off, .told = s->told, .deep = s->deep, .left_out = cut ? cut->left_out : NULL},
        &outcome);
    count(r, &outcome);
    if (outcome.violations && s->keep_going)
        printf("seed %llu: %s: %s\n", (unsigned long long)seed, outcome.rule, outcome.text);
    return outcome.violations == 0;
}

static void run_child(const struct settings *s, struct run *run, struct report *r)
{
    while (!run->stop && (s->count || run_now() < run->until)) {
        uint64_t seed = run->next++;

        if (s->count && seed - s->seed >= s->count)
            break;
        if (!run_history(s, seed, HISTORY_SECONDS, NULL, r)) {
            fflush(stdout);
            run->stop = !s->keep_going;
        }
    }
}

/* ---- In the parent */

static pid_t begin_child(struct report *r)
{
    pid_t child;

    memset(r, 0, sizeof *r);
    fflush(stdout);
    child = fork();
    if (child < 0)
        bug("no more processes");
    return child;
}

static void end_child(void)
{
    fflush(stdout);
    _exit(0);
}

/* A child that did not end by itself: its last history is a bad one. */
static void look_at_end(int status, struct report *r)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    r->done++;
    if (r->bad++ > 0)
        return;
    r->first_bad = r->running;
    r->outcome.violations++;
    snprintf(r->outcome.rule, sizeof r->outcome.rule, "died-by-%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    snprintf(r->outcome.text, sizeof r->outcome.text, "the process ended in the middle of the history");
}

void run_one(const struct settings *s, uint64_t seed, unsigned seconds, const struct cut *cut, struct report *r)
{
    int status;
    pid_t child = begin_child(r);

    if (child == 0) {
        (void)run_history(s, seed, seconds, cut, r);
        end_child();
    }
    if (waitpid(child, &status, 0) < 0)
        bug("the child is gone");
    look_at_end(status, r);
}

static void add(struct report *sum, const struct report *r)
{
    if (r->bad && (!sum->bad || r->first_bad < sum->first_bad)) {
        sum->first_bad = r->first_bad;
        sum->outcome = r->outcome;
    }
    sum->done += r->done;
    sum->bad += r->bad;
    sum->turns += r->turns;
    sum->fingerprint += r->fingerprint;
    sum->simulated_ms += r->simulated_ms;
    for (int i = 0; i < SIM_FAULTS; i++)
        sum->faults[i] += r->faults[i];
}

static void tell_progress(const struct run *run, const struct report *ended, double began, double *told)
{
    struct report sum = *ended;

    if (run_now() - *told < PROGRESS_EVERY_S)
        return;
    *told = run_now();
    for (size_t i = 0; i < RUN_PROCESSES_MAX; i++)
        add(&sum, &run->reports[i]);
    fprintf(stderr, "%.0f s: %llu histories, %llu with violations\n", *told - began, (unsigned long long)sum.done,
            (unsigned long long)sum.bad);
}

/* A child with the next seeds. */
static pid_t begin(const struct settings *s, struct run *run, struct report *r)
{
    pid_t child = begin_child(r);

    if (child == 0) {
        run_child(s, run, r);
        end_child();
    }
    return child;
}

/* That child has ended; another one takes its place if it died and the others go on. */
static pid_t end(const struct settings *s, struct run *run, struct report *r, int status, struct report *sum)
{
    bool died = !WIFEXITED(status) || WEXITSTATUS(status) != 0;

    look_at_end(status, r);
    add(sum, r);
    *r = (struct report){.running = r->running};
    if (!died)
        return 0;
    run->stop = !s->keep_going;
    if (!s->keep_going)
        return 0;
    printf("seed %llu: the process ended in the middle of the history\n", (unsigned long long)r->running);
    return begin(s, run, r);
}

void run_many(const struct settings *s, struct report *sum)
{
    struct run *run = run_shared(sizeof *run);
    pid_t children[RUN_PROCESSES_MAX] = {0};
    double began = run_now(), told = began;
    int live = s->processes;

    run->next = s->seed;
    run->until = began + s->seconds;
    for (int i = 0; i < s->processes; i++)
        children[i] = begin(s, run, &run->reports[i]);
    while (live > 0) {
        int status;

        usleep(LOOK_EVERY_US);
        for (int i = 0; i < s->processes; i++)
            if (children[i] && waitpid(children[i], &status, WNOHANG) == children[i]) {
                children[i] = end(s, run, &run->reports[i], status, sum);
                live -= !children[i];
            }
        tell_progress(run, sum, began, &told);
    }
    munmap(run, sizeof *run);
}
