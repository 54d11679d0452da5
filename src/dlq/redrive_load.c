/* What is to be sent next, with all its bytes: on a reader thread. */
#include "known_topics.h"
#include "redrive_parts.h"
#include "stepmill/clock.h"
#include "stepmill/kafka_admin.h"
#include "store_parts.h"

enum { FETCH_MS = 10000, RATE_WINDOW_MS = 10 * 60 * 1000 };

struct loading {
    struct ask_place *place;
    const struct load_question *q;
    struct answer *answer;
    struct loaded *to;
    size_t room, bytes;
    struct error error;
};

static struct loaded_letter *next_letter(struct loading *l) { return l->to->n < l->room ? &l->to->letters[l->to->n] : NULL; }

/* ---- Values that the index has not kept */

static bool read_at(struct loading *l, struct slice topic, int32_t partition, int64_t offset, struct slice *value)
{
    const struct config_kafka *k = &l->q->config->kafka;
    struct kafka_options options = {.at = k->options, .count = k->noptions, .client_id = "stepmill-dlq-fetch"};
    struct slice name = arena_copy(l->answer->arena, topic);
    const struct kafka_record *record;
    struct kafka_reader *reader;
    int64_t until = clock_mono_ms() + FETCH_MS;
    bool found = false;

    if (!name.at)
        return false;
    l->error = kafka_reader_open(&reader, &options, name.at, partition, KAFKA_START_OFFSET, offset, FETCH_MS, l->answer->detail,
                                 sizeof l->answer->detail);
    if (failed(l->error) && !strcmp(l->error.code, "kafka_topic_missing"))
        l->error = error_none(); /* its value is gone, as if the topic no longer held it */
    if (!reader)
        return false;
    while (!found && clock_mono_ms() < until) {
        enum kafka_read what = kafka_reader_next(reader, 500, &record);

        if (what == KAFKA_READ_NOTHING)
            continue;
        if (what != KAFKA_READ_RECORD || record->offset != offset)
            break; /* the topic no longer holds it */
        found = true;
        *value = arena_copy(l->answer->arena, record->value);
    }
    if (!found && clock_mono_ms() >= until)
        l->error = error_make(CLASS_AGAIN, "kafka_timeout", "Kafka did not give the record of a letter in time.");
    kafka_reader_close(reader);
    return found;
}

static void fetch(struct loading *l, struct loaded_letter *x)
{
    const struct letter *letter = &x->full.row.letter;
    bool omitted = letter->value_omitted.len > 0;

    if (l->q->no_values || (!omitted && x->full.row.value_kept))
        return;
    if (!l->q->fetch) {
        l->to->wants_fetch = true;
        return;
    }
    if (omitted ? !read_at(l, letter->topic, letter->partition, letter->offset, &x->full.value)
                : !read_at(l, letter->dlq_topic, letter->dlq_partition, letter->dlq_offset, &x->full.value))
        x->verdict = REDRIVE_NO_VALUE;
}

/* ---- Topics that they came from */

static void check_topic(struct loading *l, struct loaded_letter *x)
{
    struct slice name = x->full.row.letter.topic;
    enum topic_state state = known_topics_state(l->q->topics, name);

    if (state == TOPIC_UNKNOWN && !l->q->fetch)
        l->to->wants_fetch = true;
    else if (state == TOPIC_UNKNOWN)
        l->error =
            known_topics_ask(l->q->topics, &l->q->config->kafka, name, &state, l->answer->detail, sizeof l->answer->detail);
    if (!failed(l->error) && state == TOPIC_GONE)
        x->verdict = REDRIVE_NO_TOPIC;
}

/* ---- Letters */

static size_t bytes_of(const struct letter_full *full)
{
    size_t n = full->key.len + full->value.len;

    for (size_t i = 0; i < full->nheaders; i++)
        n += sizeof *full->headers + full->headers[i].name.len + full->headers[i].value.len;
    return n;
}

/* False: no more now. */
static bool take(struct loading *l, struct slice id, int64_t place)
{
    struct loaded_letter *x = next_letter(l);
    bool found = false;

    if (!x || l->bytes > BYTES_AT_ONCE) {
        l->to->complete = false;
        return false;
    }
    *x = (struct loaded_letter){.id = id, .place = place};
    l->error = store_letter(l->place->store, id, l->answer->arena, &x->full, &found);
    if (failed(l->error))
        return false;
    x->verdict = found ? redrive_verdict_of(&x->full.row, l->q->source == LOAD_JOB ? l->q->job : (struct slice){NULL, 0})
                       : REDRIVE_UNKNOWN_LETTER;
    if (x->verdict == REDRIVE_FINE)
        check_topic(l, x);
    if (x->verdict == REDRIVE_FINE && !failed(l->error))
        fetch(l, x);
    if (failed(l->error))
        return false;
    l->bytes += bytes_of(&x->full);
    l->to->n++;
    return true;
}

static void load_job(struct loading *l)
{
    struct statement *st = database_prepare(store_database(l->place->store),
                                            "SELECT letter, place FROM job_letters WHERE job = ?1 AND sent = 0 AND place > ?2 "
                                            "ORDER BY place LIMIT ?3");
    struct slice *ids = arena_alloc(l->answer->arena, l->q->limit * sizeof *ids);
    int64_t *places = arena_alloc(l->answer->arena, l->q->limit * sizeof *places);
    size_t n = 0;

    statement_text(st, 1, l->q->job);
    statement_int(st, 2, l->q->cursor);
    statement_int(st, 3, (int64_t)l->q->limit);
    while (ids && places && n < l->q->limit && statement_step(st)) {
        ids[n] = store_text(st, 0, l->answer->arena);
        places[n++] = statement_int_at(st, 1);
    }
    statement_reset(st);
    l->error = database_error(store_database(l->place->store));
    l->to->complete = n < l->q->limit;
    for (size_t i = 0; i < n && !failed(l->error); i++)
        if (!take(l, ids[i], places[i]))
            return;
}

/* How its agent fares decides whether it goes or is put off. */
static void agent_rate(struct loading *l, struct loaded_letter *x)
{
    int64_t now = clock_wall_ms();
    struct slice agent = x->full.row.letter.agent;

    for (size_t i = 0; i + 1 < l->to->n; i++) /* asked once for each agent */
        if (slice_equal(l->to->letters[i].full.row.letter.agent, agent)) {
            x->ended = l->to->letters[i].ended;
            x->failed = l->to->letters[i].failed;
            return;
        }
    if (!l->place->tasks || failed(tasks_ended(l->place->tasks, agent, now - RATE_WINDOW_MS, now, &x->ended, &x->failed)))
        x->ended = x->failed = 0;
}

static void load_due(struct loading *l)
{
    struct letter_page page;

    l->error = store_due(l->place->store, l->q->until_ms, l->q->limit, l->answer->arena, &page);
    if (failed(l->error))
        return;
    l->to->complete = page.n < l->q->limit;
    for (size_t i = 0; i < page.n; i++) {
        if (!take(l, page.rows[i].letter.id, 0))
            return;
        agent_rate(l, &l->to->letters[l->to->n - 1]);
    }
}

struct error load_run(struct ask_place *place, void *question, struct answer *answer)
{
    const struct load_question *q = question;
    struct loading l = {.place = place, .q = q, .answer = answer, .room = q->limit, .error = error_none()};

    l.to = arena_alloc(answer->arena, sizeof *l.to);
    if (l.to)
        l.to->letters = arena_alloc(answer->arena, (q->limit + 1) * sizeof *l.to->letters);
    if (!l.to || !l.to->letters)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to load letters");
    if (q->source == LOAD_JOB)
        load_job(&l);
    else if (q->source == LOAD_DUE)
        load_due(&l);
    else
        (void)take(&l, q->job, 0);
    answer->result = l.to;
    return l.error;
}
