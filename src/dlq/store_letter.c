/* Folding a dead letter into the index. */
#include "store_parts.h"

/* Where it belongs among the letters of its ms; the next free place. */
static int64_t choose_number(struct store *s, const struct letter *l)
{
    const int64_t mask = (INT64_C(1) << STORE_TIME_SHIFT) - 1;
    struct statement *st = database_prepare(s->db, "SELECT 1 FROM letters WHERE num = ?1");
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int64_t num = 0;

    for (size_t i = 0; i < l->id.len; i++)
        hash = (hash ^ (unsigned char)l->id.at[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    for (int64_t tries = 0; tries <= mask; tries++) {
        bool taken;

        num = num_at(l->failed_at_ms) | (((int64_t)(hash & (uint64_t)mask) + tries) & mask);
        if (num == 0) /* a cursor of 0 means the start */
            continue;
        statement_int(st, 1, num);
        taken = statement_step(st);
        statement_reset(st);
        if (!taken)
            break;
    }
    return num;
}

/* True: it is there already, and this is another occurrence, or the same record again. */
static bool count_again(struct store *s, const struct letter *l)
{
    struct statement *st =
        database_prepare(s->db, "UPDATE letters SET occurrences = occurrences + (dlq_topic <> ?2 OR dlq_partition "
                                "<> ?3 OR dlq_offset <> ?4) WHERE id = ?1");

    statement_text(st, 1, l->id);
    statement_text(st, 2, l->dlq_topic);
    statement_int(st, 3, l->dlq_partition);
    statement_int(st, 4, l->dlq_offset);
    return statement_run(st) > 0;
}

static void put_letter(struct statement *st, int64_t num, const struct letter *l)
{
    statement_int(st, 1, num);
    statement_text(st, 2, l->id);
    statement_int(st, 3, l->family);
    statement_text(st, 4, l->dlq_topic);
    statement_int(st, 5, l->dlq_partition);
    statement_int(st, 6, l->dlq_offset);
    statement_text(st, 7, l->topic);
    statement_int(st, 8, l->partition);
    statement_int(st, 9, l->offset);
    statement_text(st, 10, l->group);
    statement_text(st, 11, l->task_id);
    statement_text(st, 12, l->session_id);
    statement_text(st, 13, l->agent);
    statement_text(st, 14, l->class);
    statement_text(st, 15, l->code);
    statement_text(st, 16, l->stage);
    statement_text(st, 17, l->message);
    statement_int(st, 18, l->step);
    statement_int(st, 19, l->attempts);
    statement_int(st, 20, l->redrives);
    statement_int(st, 21, l->first_failed_at_ms);
    statement_int(st, 22, l->failed_at_ms);
    statement_int(st, 23, l->started_at_ms);
    statement_int(st, 24, l->retryable);
    statement_text(st, 25, l->worker);
    statement_int(st, 26, l->schema_id);
    statement_text(st, 27, l->value_omitted);
    statement_text(st, 28, l->trace_id);
    statement_text(st, 29, slice_of(l->fingerprint));
}

static void put_state(struct statement *st, const struct state *state)
{
    statement_int(st, 33, state->status);
    statement_int(st, 34, state->status_at_ms);
    statement_int(st, 35, state->due_ms);
    statement_int(st, 36, state->sent);
    statement_text(st, 37, state->job);
    statement_text(st, 38, state->assigned);
    statement_text(st, 39, state->newer_id);
    statement_int(st, 40, state->notes);
    statement_int(st, 41, state->base);
    statement_int(st, 42, state->base_at_ms);
    statement_text(st, 43, state->sent_job);
    statement_text(st, 44, state->pending_job);
    statement_int(st, 45, state->newer_at_ms);
    statement_text(st, 46, state->ended);
}

static void insert(struct store *s, const struct letter *l, const struct state *state, const struct kafka_record *r)
{
    struct statement *st = database_prepare(
        s->db,
        "INSERT INTO letters (" LETTER_COLUMNS
        ", base, base_at, sent_job, pending_job, newer_at, ended) VALUES (?1, ?2, ?3, ?4, ?5, "
        "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, "
        "?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46)");
    bool kept = !r->value.at || (int64_t)r->value.len <= s->options.value_max;
    struct buf headers = BUF(64 * 1024 * 1024);

    put_letter(st, state->num, l);
    statement_int(st, 30, 1);
    statement_int(st, 31, r->value.at ? (int64_t)r->value.len : -1);
    statement_int(st, 32, kept);
    put_state(st, state);
    statement_run(st);

    headers_put(r->headers, r->nheaders, &headers);
    st = database_prepare(s->db, "INSERT INTO bytes (num, key, headers, value) VALUES (?1, ?2, ?3, ?4)");
    statement_int(st, 1, state->num);
    statement_blob(st, 2, r->key);
    statement_blob(st, 3, buf_slice(&headers));
    statement_blob(st, 4, kept ? r->value : (struct slice){NULL, 0});
    statement_run(st);
    buf_free(&headers);
}

/* ---- Letters of one task: one with more redrives that failed later stands for those with fewer. An id that was used anew, and a
 * letter that says that its id is another task's (letter_is_of_task), have nothing to do with what was before. */

/* The letter of the task with the next larger number of redrives. */
static void find_newer(struct store *s, const struct letter *l, struct state *state)
{
    struct statement *st =
        database_prepare(s->db, "SELECT id, failed_at FROM letters WHERE task_id = ?1 AND redrives > ?2 AND failed_at >= ?3 AND "
                                "code IS NOT 'task_id_conflict' ORDER BY redrives, num LIMIT 1");

    statement_text(st, 1, l->task_id);
    statement_int(st, 2, l->redrives);
    statement_int(st, 3, l->failed_at_ms);
    if (statement_step(st)) {
        state->newer_id = store_text(st, 0, s->arena);
        state->newer_at_ms = statement_int_at(st, 1);
    }
    statement_reset(st);
}

/* Older ones point to the letter with the next larger number of redrives, whichever came first. */
static void tell_older(struct store *s, const struct letter *l)
{
    struct statement *st =
        database_prepare(s->db, "SELECT id FROM letters WHERE task_id = ?1 AND redrives < ?2 AND failed_at <= ?3 AND code "
                                "IS NOT 'task_id_conflict' AND (newer_id IS NULL OR (SELECT n.redrives FROM letters n WHERE "
                                "n.id = letters.newer_id) > ?2) ORDER BY num LIMIT 100");
    struct slice ids[100];
    size_t n = 0;

    statement_text(st, 1, l->task_id);
    statement_int(st, 2, l->redrives);
    statement_int(st, 3, l->failed_at_ms);
    while (n < sizeof ids / sizeof *ids && statement_step(st))
        ids[n++] = store_text(st, 0, s->arena);
    statement_reset(st);
    for (size_t i = 0; i < n; i++) {
        struct state before, after;

        if (!state_load(s, ids[i], &before))
            continue;
        after = before;
        after.newer_id = l->id;
        after.newer_at_ms = l->failed_at_ms;
        state_save(s, &before, &after);
    }
}

void store_fold_letter(struct store *s, const struct kafka_record *record)
{
    struct letter l;
    struct state state;

    if (!letter_read(record, s->arena, &l) || count_again(s, &l) || failed(database_error(s->db)))
        return;
    state = (struct state){.num = choose_number(s, &l),
                           .base = LETTER_OPEN,
                           .base_at_ms = l.failed_at_ms,
                           .due_ms = -1,
                           .newer_at_ms = -1,
                           .failed_at_ms = l.failed_at_ms,
                           .class = l.class,
                           .code = l.code,
                           .stage = l.stage,
                           .agent = l.agent,
                           .topic = l.topic,
                           .worker = l.worker,
                           .fingerprint = arena_copy(s->arena, slice_of(l.fingerprint)),
                           .family = l.family};
    state_catch_up(s, l.id, &state);
    if (letter_is_of_task(&l))
        find_newer(s, &l, &state);
    state_settle(&state);
    insert(s, &l, &state, record);
    words_add(s, &l, state.num);
    state_count(s, &state, 1);
    if (letter_is_of_task(&l) && l.redrives > 0)
        tell_older(s, &l);
}
