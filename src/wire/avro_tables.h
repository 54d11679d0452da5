/* Rows of a reader's table, one macro per kind; S is the struct, m its member, n the Avro field. */
#ifndef STEPMILL_AVRO_TABLES_H
#define STEPMILL_AVRO_TABLES_H

#include <stddef.h>

#include "stepmill/avro_plan.h"

#define ROW(k, S, n, m, ...)                                                                                                     \
    {                                                                                                                            \
        .name = (n), .kind = TAKE_##k, .at = offsetof(struct S, m), __VA_ARGS__                                                  \
    }

/* A required text; one that may be null; one that may be missing, then empty. */
#define TEXT(S, n, m)          ROW(STRING, S, n, m, .nullable = false)
#define NULLABLE_TEXT(S, n, m) ROW(STRING, S, n, m, .nullable = true, .optional = true)
#define OPTIONAL_TEXT(S, n, m) ROW(STRING, S, n, m, .optional = true)
/* Numbers: required; may be missing, then `d`; may be null or missing, then `d`. */
#define NUMBER(k, S, n, m)             ROW(k, S, n, m, .nullable = false)
#define OPTIONAL_NUMBER(k, S, n, m, d) ROW(k, S, n, m, .optional = true, .none = (d))
#define NULLABLE_NUMBER(k, S, n, m, d) ROW(k, S, n, m, .optional = true, .nullable = true, .none = (d))
/* Arrays and maps: member m, counted in c, at most `most`. */
#define LIST(k, S, n, m, c, r, most, opt)                                                                                        \
    ROW(k, S, n, m, .count = offsetof(struct S, c), .record = &(r), .max = (most), .optional = (opt))
#define INNER(S, n, m, r) ROW(RECORD, S, n, m, .record = &(r))

#define READER(S, n, rows)                                                                                                       \
    {                                                                                                                            \
        (n), sizeof(struct S), (rows), sizeof(rows) / sizeof *(rows)                                                             \
    }

/* Context of a task, metadata of a result: a map of strings. */
extern const struct avro_record context_entry_reader;
/* struct task_input, in a record of its own and in TaskStarted. */
extern const struct avro_record task_reader;

struct context_entry;
void context_put(struct buf *to, const struct context_entry *entries, size_t n);
/* The fields of AgentTaskEvent, without a wire header. */
struct task_input;
void task_fields_put(struct buf *to, const struct task_input *task);
/* After decoding by task_reader: the context sorted by key, of equal keys the last; limits that are not there -1. */
void task_normalise(struct task_input *task);

#endif
