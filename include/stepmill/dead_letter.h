/* The headers of a dead letter (DESIGN §3): what a person or the DLQ processor needs to know about a record that gave no answer.
 */
#ifndef STEPMILL_DEAD_LETTER_H
#define STEPMILL_DEAD_LETTER_H

#include "arena.h"
#include "error.h"
#include "event.h"
#include "kafka.h"

enum { DEAD_LETTER_MESSAGE_MAX = 1000, DEAD_LETTER_HEADERS = 25 };

struct dead_letter {
    struct origin origin; /* of the record that failed; `id` is made from it: "<topic>:<partition>:<offset>" */
    struct slice group;   /* consumer group */
    struct slice task_id; /* absent: could not be read */
    struct slice agent;
    struct slice class, code, stage; /* class: error_class_name; stage: loading, model, tool, … */
    struct slice message;            /* cut to 1,000 bytes at a character; control characters and bad UTF-8 are replaced */
    int32_t step;
    int32_t attempts;
    int64_t first_failed_at_ms; /* of an earlier dead letter of the same task, see dead_letter_headers; -1: now */
    int64_t failed_at_ms;
    int64_t started_at_ms; /* of its TaskStarted: where its events begin; -1: it has none */
    int32_t redrives;
    bool retryable;
    struct slice worker;        /* host and process */
    int64_t schema_id;          /* -1: unknown */
    struct slice value_omitted; /* absent unless the value was too large (dead_letter_omitted) */
};

/* `original` headers in their order, without earlier __dlq.errors.* and stepmill.* ones, then ours. An earlier
 * stepmill.first_failed_at is kept. Memory: the arena. False: no room. */
bool dead_letter_headers(const struct dead_letter *letter, const struct kafka_header *original, size_t noriginal,
                         struct arena *arena, const struct kafka_header **headers, size_t *n);

/* "size=…, sha256=…, origin=…": what stands in stepmill.value_omitted for a value that did not fit. Absent: no room. */
struct slice dead_letter_omitted(struct slice value, const struct origin *origin, struct arena *arena);

#endif
