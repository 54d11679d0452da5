/* Between produce.c (the command, and what it sends) and produce_send.c (the producer and what came of each record). */
#ifndef CLI_PRODUCE_H
#define CLI_PRODUCE_H

#include "link.h"
#include "stepmill/kafka_admin.h"
#include "stepmill/task_codec.h"

/* Who waits for an acknowledgement. */
struct produce_slot {
    char id[ID_MAX + 1];
    size_t next_free;
};

/* One run. */
struct produce {
    struct cli *cli;
    struct config *config;
    struct cli_link link;
    struct kafka_producer *producer;
    struct cli_progress progress;
    struct buf topic;
    struct arena *arena; /* of the task at hand */

    const char *agent, *session, *prompt, *task_id, *source, *deadline;
    struct cli_list context;
    int64_t max_steps, token_budget, rate;
    bool from_stdin, raw;

    uint32_t schema_id;
    struct produce_slot *slots; /* a record's tag is the index of its slot */
    size_t nslots, free_slot;   /* free_slot: the first of a list that ends with nslots */
    size_t sent, delivered, refused;
    bool output_gone; /* nobody reads our standard output */
};

/* Registry and producer. False: said why on stderr. */
bool produce_open(struct produce *p);
void produce_close(struct produce *p);
/* NULL: queued; else what is wrong with it (static, or valid until the next call). */
const char *produce_task(struct produce *p, const struct task_input *task, struct detail *detail);
const char *produce_raw(struct produce *p, struct slice value);
/* Serves acknowledgements until it is time for the next task, at least once. */
void produce_keep_pace(struct produce *p);
/* Waits for what is left. The exit code; `code` if that is worse. */
int produce_finish(struct produce *p, int code);

#endif
