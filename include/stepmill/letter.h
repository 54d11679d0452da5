/* A dead letter as its headers tell it, whoever wrote them: one reader for all the families that are met on a Kafka.
 *
 * Families, by the last header of the record that belongs to one (each writer adds its own behind what was there):
 *
 *     stepmill   stepmill.id and its like, with __dlq.errors.*       ours (DESIGN §3); numbers as text
 *     kafka      __dlq.errors.{topic,partition,offset,group,delivery.count,message}    the broker's (KIP-1191), and who copies it
 *     connect    __connect.errors.*                                  Kafka Connect (KIP-298); numbers as text
 *     spring     kafka_dlt-*                                         Spring for Apache Kafka; numbers big endian
 *     streams    __streams.errors.*                                  Kafka Streams (KIP-1034); numbers as text
 *     plain      none of these: a letter all the same, told by its own place
 *
 * Headers are somebody else's bytes: what is not UTF-8 is repaired, control characters become spaces, texts are cut, a number
 * that is none counts as absent. Pure; any thread.
 */
#ifndef STEPMILL_LETTER_H
#define STEPMILL_LETTER_H

#include "arena.h"
#include "fingerprint.h"
#include "kafka.h"

enum letter_family {
    LETTER_FAMILY_STEPMILL,
    LETTER_FAMILY_KAFKA,
    LETTER_FAMILY_CONNECT,
    LETTER_FAMILY_SPRING,
    LETTER_FAMILY_STREAMS,
    LETTER_FAMILY_PLAIN,
};
const char *letter_family_name(enum letter_family family); /* "stepmill", "kafka", "connect", "spring", "streams", "plain" */

enum { LETTER_ID_MAX = 512, LETTER_TEXT_MAX = 256, LETTER_MESSAGE_MAX = 1000 };

/* Absent texts are {NULL, 0}, absent numbers and times -1 (redrives: 0). */
struct letter {
    struct slice id; /* stepmill.id; else "<topic>:<partition>:<offset>" of the original record; else of the letter itself. A
                        second letter of one id is another occurrence of it (Connect and share groups may write twice). */
    enum letter_family family;
    struct slice dlq_topic; /* where the letter itself lies */
    int32_t dlq_partition;
    int64_t dlq_offset;
    struct slice topic; /* of the record that failed */
    int32_t partition;
    int64_t offset;
    struct slice group; /* consumer group, connector, or application */
    struct slice task_id;
    struct slice session_id; /* the key, where it is text */
    struct slice agent;
    struct slice class; /* ours: error_class_name; others: the exception's class name as written, of the cause where it is told */
    struct slice code;  /* ours: stable code; others: the class name's last part */
    struct slice stage; /* ours: loading, model, tool, …; Connect: VALUE_CONVERTER, … */
    struct slice message;
    int32_t step, attempts, redrives;
    int64_t first_failed_at_ms, failed_at_ms; /* failed_at: the record's time where no header tells it; never -1 */
    int64_t started_at_ms;                    /* stepmill.started_at: when its TaskStarted was written */
    bool retryable;
    struct slice worker; /* host and process; Connect: the task's number */
    int64_t schema_id;   /* of the value: from the header, else from its wire header */
    struct slice value_omitted;
    struct slice trace_id;                    /* 32 hex digits, of traceparent */
    char fingerprint[FINGERPRINT_LENGTH + 1]; /* of class, stage, message: the group. Ours: as the worker wrote it */
};

/* The slices point into the arena or are static. False: no room in the arena. */
MUST_CHECK bool letter_read(const struct kafka_record *record, struct arena *arena, struct letter *letter);

/* Whether what happens to the task of its task_id happens to this letter. Not so where another task had that id before it. */
static inline bool letter_is_of_task(const struct letter *l) { return l->task_id.at && !slice_is(l->code, "task_id_conflict"); }

/* The header's last value; absent: no such header, or null. */
struct slice letter_header(const struct kafka_header *headers, size_t n, const char *name);

#endif
