/* What the files of the checker share: each record fed and what it yielded, found from what was committed. */
#ifndef SIM_CHECK_PRIVATE_H
#define SIM_CHECK_PRIVATE_H

#include "ledger.h"
#include "sim.h"
#include "stepmill/arena.h"
#include "stepmill/event.h"
#include "stepmill/offsets.h"

/* A committed result. */
struct seen_result {
    const struct sim_record *record;
    struct task_result result;
    struct verdict *of; /* NULL: of no record */
    bool unsure;        /* another record of its transaction would fit as well */
};

/* A committed dead letter. */
struct seen_letter {
    const struct sim_record *record;
    struct slice class, code;
};

/* One record fed, and all that was committed for it. */
struct verdict {
    const struct fed *fed;
    struct ledger_task *task; /* NULL: it names none */
    uint64_t txn;             /* finished by; 0: not finished */
    struct seen_result *result;
    struct seen_letter *letter;
};

struct checker {
    struct ledger *ledger;
    struct arena *arena;
    struct verdict *verdicts; /* one for each of ledger.fed */
    size_t nverdicts;
    struct seen_result *results;
    size_t nresults;
    const struct sim_record *records; /* committed, in the order in which they became visible */
    size_t nrecords;
};

/* check_offsets.c: what was committed to the group; sets verdict.txn. */
void check_offsets(struct checker *c);
/* check_letters.c */
void check_letters(struct checker *c);
/* check_results.c */
void check_results(struct checker *c);
/* check_chain.c: the events that a result's history names. */
void check_chain(struct checker *c, const struct seen_result *r);
/* check_events.c */
void check_events(struct checker *c);
/* check_tasks.c: what each record and each task_id was owed. */
void check_tasks(struct checker *c);
void check_order(struct checker *c);
/* check_counters.c */
void check_counters(struct checker *c);

struct slice record_header_of(const struct sim_record *r, const char *name);
/* "agent.tasks.sim/0@12 (t3)": for messages; valid until the fourth next call. */
const char *verdict_name(const struct verdict *v);

#endif
