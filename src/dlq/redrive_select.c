/* Which letters a job takes: by ids or by filter, oldest first; the same search without a job is a dry run. */
#include <stdlib.h>

#include "known_topics.h"
#include "redrive_parts.h"
#include "store_parts.h"

enum { PAGE = 500, PAGE_ARENA_MAX = 16 * 1024 * 1024, CHECKED_MAX = 2000, CHECKED_BYTES_MAX = 24 * 1024 * 1024 };

struct search_question {
    const struct action_letter *letters; /* NULL: by filter */
    size_t nletters;
    struct letter_filter filter;
    int64_t cap;
    struct slice job;
    bool check; /* look for topics, and bring values for a look at their schemas */
    const struct config *config;
    struct known_topics *topics;
};

struct search_found {
    struct dry_run counts;
    struct slice *ids; /* of those that may go; check: none, nobody asks for them */
    size_t n, room, bytes;
    struct letter_full *full; /* check: values of the first of them, and whose they are */
    size_t nfull, full_bytes;
    bool kafka_is_away;
};

/* What an id takes in a record of the selection, at most. */
#define ID_BYTES(id) ((id).len + 32)

static bool keep_id(struct search_found *f, struct slice id, struct arena *arena)
{
    if (f->n == f->room) {
        size_t room = f->room ? 2 * f->room : 1024;
        struct slice *ids = arena_alloc(arena, room * sizeof *ids);

        if (!ids)
            return false;
        if (f->n)
            memcpy(ids, f->ids, f->n * sizeof *ids);
        f->ids = ids;
        f->room = room;
    }
    f->ids[f->n] = arena_copy(arena, id);
    f->bytes += ID_BYTES(id);
    return f->ids[f->n++].at != NULL;
}

/* Only what send_check looks at: headers and keys may be many times larger than that. */
static void bring_value(struct store *store, struct search_found *f, const struct letter_row *row, struct arena *arena)
{
    struct letter_full *full;
    struct statement *st;

    if (row->letter.family != LETTER_FAMILY_STEPMILL || !row->value_kept || row->letter.value_omitted.len)
        return;
    if (!f->full)
        f->full = arena_alloc(arena, CHECKED_MAX * sizeof *f->full);
    if (!f->full || f->nfull == CHECKED_MAX || f->full_bytes > CHECKED_BYTES_MAX)
        return;
    full = &f->full[f->nfull++];
    *full = (struct letter_full){.row.letter = {.id = arena_copy(arena, row->letter.id), .family = row->letter.family}};
    st = database_prepare(store_database(store), "SELECT value FROM bytes WHERE num = ?1");
    statement_int(st, 1, row->num);
    if (statement_step(st))
        full->value = arena_copy(arena, statement_blob_at(st, 0));
    statement_reset(st);
    f->full_bytes += full->value.len;
}

/* Where Kafka does not answer, it counts as fine: the job itself waits. */
static enum redrive_verdict check_topic(const struct search_question *q, struct search_found *f, struct slice topic)
{
    enum topic_state state = TOPIC_THERE;
    char detail[256];

    if (!f->kafka_is_away)
        f->kafka_is_away = failed(known_topics_ask(q->topics, &q->config->kafka, topic, &state, detail, sizeof detail));
    return state == TOPIC_GONE ? REDRIVE_NO_TOPIC : REDRIVE_FINE;
}

/* False: enough. */
static bool count(struct store *store, const struct search_question *q, struct search_found *f, const struct letter_row *row,
                  struct slice id, struct arena *arena)
{
    enum redrive_verdict v = row ? redrive_verdict_of(row, q->job) : REDRIVE_UNKNOWN_LETTER;

    if (f->counts.selected >= q->cap || f->bytes > SELECTED_BYTES_MAX) {
        f->counts.more = true;
        return false;
    }
    f->counts.selected++;
    if (v == REDRIVE_FINE && q->check)
        v = check_topic(q, f, row->letter.topic);
    if (!f->counts.n[v]++)
        f->counts.example[v] = arena_copy(arena, id);
    if (v != REDRIVE_FINE)
        return true;
    if (!q->check)
        return keep_id(f, id, arena);
    f->bytes += ID_BYTES(id);
    bring_value(store, f, row, arena);
    return true;
}

static struct error by_ids(struct store *store, const struct search_question *q, struct search_found *f, struct arena *arena)
{
    for (size_t i = 0; i < q->nletters; i++) {
        struct letter_row row;
        bool found;
        struct error error = store_letter_row(store, q->letters[i].id, arena, &row, &found);

        if (failed(error) || !count(store, q, f, found ? &row : NULL, q->letters[i].id, arena))
            return error;
    }
    return error_none();
}

static struct error by_filter(struct store *store, const struct search_question *q, struct search_found *f, struct arena *arena)
{
    int64_t cursor = 0;

    do {
        struct arena *page_arena = arena_new(PAGE_ARENA_MAX);
        struct letter_page page = {.next = 0};
        struct error error = page_arena ? store_letters(store, &q->filter, STORE_OLDEST_FIRST, cursor, PAGE, page_arena, &page)
                                        : error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to select letters");
        bool more = !failed(error);

        for (size_t i = 0; more && i < page.n; i++)
            more = count(store, q, f, &page.rows[i], page.rows[i].letter.id, arena);
        cursor = more ? page.next : 0;
        arena_free(page_arena);
        if (failed(error))
            return error;
    } while (cursor);
    return error_none();
}

static struct error search(struct ask_place *place, void *question, struct answer *a)
{
    const struct search_question *q = question;
    struct search_found *f = arena_alloc(a->arena, sizeof *f);
    struct error error;

    if (!f)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to select letters");
    error = q->letters ? by_ids(place->store, q, f, a->arena) : by_filter(place->store, q, f, a->arena);
    if (!failed(error))
        error = database_error(store_database(place->store));
    if (!failed(error) && arena_failed(a->arena))
        error = error_make(CLASS_INTERNAL, "out_of_memory", "no memory left to select letters");
    a->result = f;
    return error;
}

/* ---- Of a job */

static bool add_selected(struct redrives *r, const struct search_found *f, struct slice job)
{
    struct action_count counts[REDRIVE_VERDICTS];
    struct action_letter letters[ACTION_SELECTED_MAX];
    size_t ncounts = 0, at = 0;

    for (int v = 0; v < REDRIVE_VERDICTS; v++)
        if (f->counts.n[v])
            counts[ncounts++] = (struct action_count){slice_of(redrive_verdict_name((enum redrive_verdict)v)), f->counts.n[v]};
    do {
        char id[37];
        struct action a = redrives_action(r, id, ACTION_JOB_SELECTED);
        size_t n = f->n - at < ACTION_SELECTED_MAX ? f->n - at : ACTION_SELECTED_MAX;

        for (size_t i = 0; i < n; i++)
            letters[i].id = f->ids[at + i];
        at += n;
        a.job = job;
        a.letters = letters;
        a.nletters = n;
        a.last = at == f->n;
        a.counts = counts;
        a.ncounts = a.last ? ncounts : 0;
        if (!step_add(r, &a))
            return false;
    } while (at < f->n);
    return true;
}

static void selected(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct redrives *r = ctx;
    struct search_question *q = question;

    (void)ticket;
    r->step.ask = 0;
    if (failed(a->error))
        step_fail(r, a->error, a->detail);
    else if (step_is_old(r))
        step_end(r, 0);
    else if (add_selected(r, a->result, q->job))
        step_ready(r);
    else
        step_end(r, AGAIN_MS);
}

static int64_t cap_of(const struct redrives *r, int64_t cap)
{
    return cap > 0 && cap < r->config->dlq.redrive.cap ? cap : r->config->dlq.redrive.cap;
}

/* A filter that this version does not understand finds nothing: the job ends without a letter. */
void select_letters_of(struct redrives *r, struct job_control *job)
{
    static const struct action_letter none[1];
    const struct action *a = &job->request;
    struct search_question q = {
        .letters = a->nletters ? a->letters : NULL, .nletters = a->nletters, .cap = cap_of(r, a->cap), .job = slice_of(job->id)};

    if (!a->nletters && (!a->nfilter || !filter_from_terms(a->filter, a->nfilter, &q.filter)))
        q.letters = none;
    r->step.ask = ask(r->o.asks, ASK_INDEX, search, selected, r, &q, sizeof q);
}

/* ---- Of a dry run */

struct
try {
    struct list_node in_tries;
    struct redrives *redrives;
    uint64_t ticket;
    struct arena *arena;
    struct search_question question;
    redrives_tried *done;
    void *ctx;
};

static void try_free(struct try *t)
{
    list_remove(&t->in_tries);
    arena_free(t->arena);
    free(t);
}

/* A schema that is not here yet counts as fine: the job itself waits for it. */
static void check_values(struct redrives *r, struct search_found *f)
{
    for (size_t i = 0; i < f->nfull; i++) {
        bool pending;
        uint32_t schema_id;
        struct slice problem;
        enum redrive_verdict v = send_check(r, &f->full[i], &pending, &schema_id, &problem);

        if (v == REDRIVE_FINE)
            continue;
        f->counts.n[REDRIVE_FINE]--;
        if (!f->counts.n[v]++)
            f->counts.example[v] = f->full[i].row.letter.id;
    }
}

static void tried(void *ctx, uint64_t ticket, void *question, struct answer *a)
{
    struct try *t = ctx;
    struct search_found *f = a->result;

    (void)ticket;
    (void)question;
    if (!failed(a->error))
        check_values(t->redrives, f);
    if (t->done)
        t->done(t->ctx, t->ticket, a->error, failed(a->error) ? NULL : &f->counts);
    try_free(t);
}

static void copy_filter(struct arena *arena, const struct letter_filter *from, struct letter_filter *to)
{
    const struct action_term *terms;
    struct action_term *copy;
    size_t n;

    if (!filter_to_terms(from, arena, &terms, &n) || !(copy = arena_alloc(arena, (n + 1) * sizeof *copy)))
        return;
    for (size_t i = 0; i < n; i++)
        copy[i] = (struct action_term){terms[i].name, arena_copy(arena, terms[i].value)};
    if (!filter_from_terms(copy, n, to))
        bug("a filter is not what it was written as");
}

uint64_t redrives_dry_run(struct redrives *r, const struct selection *s, redrives_tried *done, void *ctx)
{
    struct try *t = calloc(1, sizeof *t);
    struct action_letter *letters = NULL;

    if (!t || !(t->arena = arena_new(64 * 1024 * 1024)))
        bug("out of memory: a question must be answered");
    t->redrives = r;
    t->ticket = ++r->last_ticket;
    t->done = done;
    t->ctx = ctx;
    t->question = (struct search_question){.cap = cap_of(r, s->cap), .check = true, .config = r->config, .topics = r->topics};
    if (s->letters)
        letters = arena_alloc(t->arena, (s->nletters + 1) * sizeof *letters);
    for (size_t i = 0; letters && i < s->nletters; i++)
        letters[t->question.nletters++].id = arena_copy(t->arena, s->letters[i]);
    t->question.letters = letters;
    if (!s->letters)
        copy_filter(t->arena, &s->filter, &t->question.filter);
    list_append(&r->tries, &t->in_tries);
    (void)ask(r->o.asks, ASK_SLOW, search, tried, t, &t->question, sizeof t->question);
    return t->ticket;
}

void tries_forget(struct redrives *r, uint64_t ticket)
{
    for (struct list_node *n = r->tries.first; n; n = n->next) {
        struct try *t = list_entry(n, struct try, in_tries);

        if (t->ticket == ticket)
            t->done = NULL;
    }
}

void tries_drop(struct redrives *r)
{
    while (r->tries.first)
        try_free(list_entry(r->tries.first, struct try, in_tries));
}
