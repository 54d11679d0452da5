/* Runs histories in child processes. */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stepmill/error.h"

enum { HISTORY_SECONDS = 20 };

void *run_shared(size_t n)
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
    r->simulated_ms += (uint64_t)o->ended_ms;
    for (int i = 0; i < SIM_FAULTS; i++)
        r->faults[i] += o->faults[i];
    if (r->bad == 0)
        r->outcome = *o;
    if (o->violations && r->bad++ == 0)
        r->first_bad = r->running;
}

static void run_child(const struct settings *s, uint64_t from, uint64_t n, const struct cut *cut, struct report *r)
{
    for (uint64_t seed = from; seed < from + n && (r->bad == 0 || s->keep_going); seed++) {
        struct history_outcome outcome;

        alarm(HISTORY_SECONDS);
        r->running = seed;
        history_run(
            &(struct history_options){
                .seed = seed, .rule_off = s->rule_off, .told = s->told, .deep = s->deep, .left_out = cut ? cut->left_out : NULL},
            &outcome);
        count(r, &outcome);
        if (outcome.violations && s->keep_going)
            printf("seed %llu: %s: %s\n", (unsigned long long)seed, outcome.rule, outcome.text);
    }
    fflush(stdout);
    _exit(0);
}

void run_batch(const struct settings *s, uint64_t from, uint64_t n, const struct cut *cut, struct report *r)
{
    int status;
    pid_t child;

    memset(r, 0, sizeof *r);
    fflush(stdout);
    child = fork();
    if (child < 0)
        bug("no more processes");
    if (child == 0)
        run_child(s, from, n, cut, r);
    if (waitpid(child, &status, 0) < 0)
        bug("the child is gone");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    r->done++;
    if (r->bad++ == 0)
        r->first_bad = r->running;
    r->outcome.violations++;
    snprintf(r->outcome.rule, sizeof r->outcome.rule, "died-by-%d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    snprintf(r->outcome.text, sizeof r->outcome.text, "the process ended in the middle of the history");
}
