/* Reading agent.events for the cells of many tasks at once, within the time in which they ran. */
#include "restore_scan.h"

#include <stdlib.h>

#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"

enum {
    OPEN_MS = 10000,
    SCAN_MS = 10 * 60 * 1000,
    SILENCE_MS = 30000,    /* of the brokers */
    BEFORE_MS = 60000,     /* clocks of workers and brokers may differ */
    UNKNOWN_MS = 86400000, /* letters that don't say when their task began */
    NEAR_MS = 120000,      /* between the event of a failure and its letter */
    AFTER_MS = 3600000,    /* the same, however wrong the clocks: what is left out is paid for again */
};

static int compare_ids(struct slice a, struct slice b)
{
    int c = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

    return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

static int compare(const void *a, const void *b)
{
    const struct restore_task *const *x = a, *const *y = b;

    return compare_ids((*x)->task_id, (*y)->task_id);
}

void scan_sort(struct restore_task **tasks, size_t n) { qsort(tasks, n, sizeof(struct restore_task *), compare); }

static bool find(const struct scan_question *q, struct slice task_id, size_t *at)
{
    size_t low = 0, high = q->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = compare_ids(task_id, q->tasks[middle]->task_id);

        if (!c) {
            *at = middle;
            return true;
        }
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* "<task_id>/<seq>/<32 hex digits>" */
static bool read_id(struct slice id, struct slice *task_id, struct scan_cell *cell)
{
    size_t slash = id.len, second;
    int64_t seq;

    while (slash > 0 && id.at[slash - 1] != '/')
        slash--;
    if (slash < 2 || !hex_decode(cell->digest.bytes, DIGEST_SIZE, (struct slice){id.at + slash, id.len - slash}))
        return false;
    second = slash - 1;
    while (second > 0 && id.at[second - 1] != '/')
        second--;
    if (second < 2 || !slice_to_int((struct slice){id.at + second, slash - 1 - second}, 0, HISTORY_CELLS_MAX - 1, &seq))
        return false;
    cell->seq = (int32_t)seq;
    *task_id = (struct slice){id.at, second - 1};
    return true;
}

static bool is_failure(const struct kafka_record *r)
{
    struct slice type = letter_header(r->headers, r->nheaders, "ce_type");
    static const char failed_name[] = "TaskFailed";
    const size_t n = sizeof failed_name - 1;

    return type.len > n && !memcmp(type.at + type.len - n, failed_name, n);
}

/* False: no room for more. */
static bool take(const struct scan_question *q, struct scan_task *tasks, const struct kafka_record *r, struct arena *arena,
                 size_t *open)
{
    struct scan_cell cell = {.seq = 0}, *kept;
    struct slice task_id;
    size_t i;

    if (!r->value.at || !read_id(letter_header(r->headers, r->nheaders, "ce_id"), &task_id, &cell) || !find(q, task_id, &i))
        return true;
    for (const struct scan_cell *c = tasks[i].newest; c; c = c->older)
        if (c->seq == cell.seq && digest_equal(&c->digest, &cell.digest))
            return true; /* the same event, sent again */
    kept = arena_alloc(arena, sizeof *kept);
    cell.bytes = arena_copy(arena, r->value);
    if (!kept || !cell.bytes.at)
        return false;
    cell.older = tasks[i].newest;
    *kept = cell;
    tasks[i].newest = kept;
    if (!tasks[i].ended && is_failure(r) && r->timestamp >= q->tasks[i]->failed_at_ms - NEAR_MS) {
        tasks[i].ended = true;
        --*open;
    }
    return true;
}

static int64_t begin_of(const struct scan_question *q)
{
    int64_t from = INT64_MAX;

    for (size_t i = 0; i < q->n; i++) {
        const struct restore_task *t = q->tasks[i];
        int64_t began = t->started_at_ms >= 0 ? t->started_at_ms - BEFORE_MS : t->failed_at_ms - UNKNOWN_MS;

        if (began < from)
            from = began;
    }
    return from < 0 ? 0 : from;
}

/* What comes later tells of no task that is looked for. */
static int64_t end_of(const struct scan_question *q)
{
    int64_t to = 0;

    for (size_t i = 0; i < q->n; i++)
        if (q->tasks[i]->failed_at_ms > to)
            to = q->tasks[i]->failed_at_ms;
    return to + AFTER_MS;
}

struct error scan_run(struct ask_place *place, void *question, struct answer *a)
{
    const struct scan_question *q = question;
    const struct config_kafka *k = &q->config->kafka;
    struct kafka_options options = {.at = k->options, .count = k->noptions, .client_id = "stepmill-dlq-restore"};
    struct scan_task *tasks = arena_alloc(a->arena, q->n * sizeof *tasks);
    int64_t until = clock_mono_ms() + SCAN_MS, heard = clock_mono_ms(), end = end_of(q);
    const struct kafka_record *record;
    struct kafka_reader *reader;
    const char *detail;
    size_t open = q->n;
    struct error error;

    a->result = tasks;
    if (!tasks)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to read events");
    error = kafka_reader_open(&reader, &options, q->config->topics.events, -1, KAFKA_START_TIME, begin_of(q), OPEN_MS, a->detail,
                              sizeof a->detail);
    if (failed(error))
        return error;
    while (open && !failed(error)) {
        enum kafka_read what = kafka_reader_next(reader, 500, &record);

        if (what == KAFKA_READ_END)
            break;
        if (ask_stopped(place))
            error = error_make(CLASS_LOST, "stopped", "The processor stops.");
        else if (what == KAFKA_READ_RECORD && record->timestamp > end)
            kafka_reader_skip(reader, record->partition);
        else if (what == KAFKA_READ_RECORD) {
            heard = clock_mono_ms();
            if (!take(q, tasks, record, a->arena, &open))
                break; /* the tasks whose cells did not fit are told as not found */
        } else if (clock_mono_ms() - heard > SILENCE_MS || clock_mono_ms() > until) {
            error = error_make(CLASS_AGAIN, "kafka_timeout", "Kafka did not give all events in time.");
        } else if (what == KAFKA_READ_FAILED) {
            error = kafka_reader_error(reader, &detail);
        }
    }
    kafka_reader_close(reader);
    return error;
}
