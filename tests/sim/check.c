/* The checker's order of work. */
#include "check.h"

#include <stdio.h>

#include "check_private.h"
#include "world.h"

enum { ARENA_MAX = 256 * 1024 * 1024, NAMES = 4, NAME_MAX = 200 };

const char *verdict_name(const struct verdict *v)
{
    static char names[NAMES][NAME_MAX];
    static unsigned next;
    char *name = names[next++ % NAMES];

    snprintf(name, NAME_MAX, "%s/%d@%lld (%s %.*s, input %d, redrive %d)", v->fed->topic, v->fed->partition,
             (long long)v->fed->offset, feed_kind_name(v->fed->kind), v->task ? (int)v->task->fed.script.task_id.len : 1,
             v->task ? v->task->fed.script.task_id.at : "-", v->fed->input, v->fed->redrives);
    return name;
}

static void make_verdicts(struct checker *c)
{
    c->verdicts = arena_alloc(c->arena, (c->ledger->nfed + 1) * sizeof *c->verdicts);
    for (size_t i = 0; i < c->ledger->nfed; i++) {
        const struct fed *fed = c->ledger->fed[i];

        c->verdicts[c->nverdicts++] =
            (struct verdict){.fed = fed, .task = fed->task ? ledger_task(c->ledger, fed->task->script.task_id) : NULL};
    }
}

void check_history(void)
{
    struct checker c = {.ledger = world_ledger(), .arena = arena_new(ARENA_MAX)};

    if (!c.arena)
        bug("no memory for the checker");
    c.records = sim_kafka_records(&c.nrecords);
    make_verdicts(&c);
    check_offsets(&c);
    check_letters(&c);
    check_results(&c);
    check_events(&c);
    check_tasks(&c);
    check_order(&c);
    check_counters(&c);
    arena_free(c.arena);
}
