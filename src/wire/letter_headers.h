/* Which header of which family says what; private to the reading of letters. */
#ifndef WIRE_LETTER_HEADERS_H
#define WIRE_LETTER_HEADERS_H

#include "stepmill/letter.h"

enum letter_fact {
    FACT_ID,
    FACT_TOPIC,
    FACT_PARTITION,
    FACT_OFFSET,
    FACT_GROUP,
    FACT_TASK,
    FACT_AGENT,
    FACT_CLASS,
    FACT_CAUSE, /* more telling than the class, where it is there */
    FACT_CODE,
    FACT_STAGE,
    FACT_MESSAGE,
    FACT_STEP,
    FACT_ATTEMPTS,
    FACT_REDRIVES,
    FACT_FIRST_FAILED_AT,
    FACT_FAILED_AT,
    FACT_STARTED_AT,
    FACT_RETRYABLE,
    FACT_WORKER,
    FACT_SCHEMA_ID,
    FACT_OMITTED,
    FACT_FINGERPRINT,
    LETTER_FACTS,
};

struct letter_facts {
    enum letter_family family;
    struct slice at[LETTER_FACTS]; /* raw header values, absent where there is none */
    struct slice traceparent, trace_id;
};

/* The last value of each header counts, and the family of the last header that belongs to one. */
void letter_facts_find(const struct kafka_header *headers, size_t n, struct letter_facts *facts);
/* A number of the family: decimal text, or big endian where the family writes it so. False: none, or below `min`. */
bool letter_fact_number(const struct letter_facts *f, enum letter_fact fact, int64_t min, int64_t max, int64_t *value);

#endif
