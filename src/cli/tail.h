/* Between tail.c (which records), tail_read.c (what they say) and tail_text.c (as lines for people). */
#ifndef CLI_TAIL_H
#define CLI_TAIL_H

#include "link.h"
#include "stepmill/arena.h"
#include "stepmill/event.h"

enum tail_what { TAIL_RESULTS, TAIL_EVENTS, TAIL_DLQ };

struct tail {
    struct cli *cli;
    struct config *config;
    struct cli_link link;
    enum tail_what what;
    const char *task, *session, *agent, *since;
    bool follow, verbose, colour;
    bool registry_gone; /* TAIL_DLQ: it did not answer; letters are shown without it */
    int64_t since_ms;   /* TAIL_DLQ: older letters are not shown */
    int64_t limit, shown;
};

/* What a record says, as far as it could be read. */
struct tail_record {
    const struct kafka_record *kafka;
    struct slice task_id, session_id, agent;
    struct event event;          /* TAIL_EVENTS */
    struct task_result result;   /* TAIL_RESULTS */
    const struct schema *schema; /* of its writer; valid until the loop turns. NULL: not known */
    struct slice avro;           /* the value without its wire header */
    const char *trouble;         /* why the value can't be read, static; NULL: fine */
    struct detail detail;        /* of the trouble */
};

/* Fills all but `kafka`. False: said on stderr that the registry is away, or no memory. */
bool tail_read(struct tail *t, struct tail_record *r, struct arena *arena);
/* The last header of this name, or absent. */
struct slice tail_header(const struct kafka_record *r, const char *name);
/* When a dead letter was written: the record's own timestamp is that of the original. */
int64_t tail_letter_time(const struct kafka_record *r);
/* One line; with --verbose more lines, indented. */
void tail_put_text(const struct tail *t, const struct tail_record *r, struct buf *out);
/* One JSON object, one line. */
void tail_put_json(const struct tail_record *r, struct buf *out);

#endif
