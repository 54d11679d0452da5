/* Scratch indexes for the tests of src/dlq. */
#include "helper_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/dead_letter.h"

static char folder[64];
static struct arena *arena;
struct arena *memory;

static void remove_files(void)
{
    static const char *const names[] = {"letters.db", "letters.db-wal", "letters.db-shm",
                                        "tasks.db",   "tasks.db-wal",   "tasks.db-shm"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
}

int store_set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/stepmill-store-XXXXXX");
    arena = arena_new(256 * 1024 * 1024);
    memory = arena_new(64 * 1024 * 1024);
    return mkdtemp(folder) && arena && memory ? 0 : -1;
}

int store_tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    arena_free(memory);
    remove_files();
    return rmdir(folder);
}

static struct store_options options(void) { return (struct store_options){.folder = folder, .value_max = 100}; }

struct store *open_writer(bool *made)
{
    struct store_options o = options();
    char detail[256] = "";
    struct store *s;
    bool new;
    struct error error = store_open_writer(&o, &s, made ? made : &new, detail, sizeof detail);

    if (failed(error))
        fail_msg("%s: %s", error.code, detail);
    return s;
}

struct store *open_reader(void)
{
    struct store_options o = options();
    char detail[256] = "";
    struct store *s;
    struct error error = store_open_reader(&o, &s, detail, sizeof detail);

    if (failed(error))
        fail_msg("%s: %s", error.code, detail);
    return s;
}

void fold_letter(struct store *s, const struct sample *l)
{
    const struct dead_letter d = {.origin = {SLICE("tasks"), 0, l->number},
                                  .group = SLICE("group"),
                                  .task_id = slice_of(l->task),
                                  .agent = slice_of(l->agent ? l->agent : "search"),
                                  .class = slice_of(l->class ? l->class : "exhausted"),
                                  .code = slice_of(l->code ? l->code : "code"),
                                  .stage = SLICE("model"),
                                  .message = slice_of(l->message ? l->message : "no answer"),
                                  .first_failed_at_ms = -1,
                                  .failed_at_ms = l->failed_at_ms,
                                  .redrives = l->redrives,
                                  .worker = SLICE("host-1 (7)"),
                                  .schema_id = -1};
    struct kafka_record r = {.topic = l->dlq ? l->dlq : "dlq",
                             .partition = l->number % 3,
                             .offset = l->number,
                             .timestamp = 1,
                             .key = slice_of(l->session),
                             .value = slice_of(l->value)};

    assert_true(dead_letter_headers(&d, NULL, 0, arena, &r.headers, &r.nheaders));
    store_fold_letter(s, &r);
}

void fold_all(struct store *s, const struct sample *letters, size_t n)
{
    store_begin(s);
    for (size_t i = 0; i < n; i++)
        fold_letter(s, &letters[i]);
    assert_false(failed(store_commit(s)));
}

struct slice id_of(int number)
{
    static char texts[16][32];
    static int next;
    char *text = texts[next++ % 16];

    snprintf(text, sizeof texts[0], "tasks:0:%d", number);
    return slice_of(text);
}

void fold_effect(struct store *s, struct effect e)
{
    if (!e.kind_name.at)
        e.kind_name = SLICE("kind");
    store_fold_action(s, &e);
}

/* ---- The whole index as text */

static void put(struct buf *b, const char *name, struct slice s)
{
    if (s.at)
        buf_printf(b, " %s=%.*s", name, SLICE_FMT(s));
}

static void put_letters(struct store *s, struct buf *b)
{
    struct letter_page page;
    int64_t cursor = 0;

    do {
        assert_false(
            failed(store_letters(s, &(struct letter_filter){.family = 0}, STORE_NEWEST_FIRST, cursor, 100, arena, &page)));
        for (size_t i = 0; i < page.n; i++) {
            const struct letter_row *r = &page.rows[i];

            buf_printf(b, "letter %.*s %s at=%lld due=%lld sent=%d notes=%d n=%d", SLICE_FMT(r->letter.id),
                       letter_status_name(r->status), (long long)r->status_at_ms, (long long)r->due_at_ms, r->sent, r->notes,
                       r->occurrences);
            put(b, "job", r->job);
            put(b, "to", r->assigned);
            put(b, "newer", r->newer_id);
            buf_put_byte(b, '\n');
        }
        cursor = page.next;
    } while (cursor);
}

static void put_groups(struct store *s, struct buf *b)
{
    struct group_page page;

    assert_false(failed(store_groups(s, &(struct group_filter){.order = GROUP_BY_FIRST}, 0, 100, arena, &page)));
    for (size_t i = 0; i < page.n; i++) {
        const struct group_row *g = &page.rows[i];

        buf_printf(b, "group %.*s %lld %lld first=%lld last=%lld resolved=%d %lld %lld alerted=%lld agents=%zu\n",
                   SLICE_FMT(g->fingerprint), (long long)g->letters, (long long)g->unfinished, (long long)g->first_ms,
                   (long long)g->last_ms, g->resolved, (long long)g->resolved_at_ms, (long long)g->returned_at_ms,
                   (long long)g->alerted_at_ms, g->nagents);
        for (int k = 0; k < LETTER_STATUSES; k++)
            buf_printf(b, " %lld", (long long)g->by_status[k]);
    }
}

static void put_jobs(struct store *s, struct buf *b)
{
    struct job_page page;
    struct job_letters letters;

    assert_false(failed(store_jobs(s, false, 0, 100, arena, &page)));
    for (size_t i = 0; i < page.n; i++) {
        const struct job_row *j = &page.rows[i];

        buf_printf(b, "job %.*s %s selected=%lld all=%d sent=%lld skipped=%lld completed=%lld again=%lld:", SLICE_FMT(j->id),
                   job_state_name(j->state), (long long)j->selected, j->selected_all, (long long)j->sent, (long long)j->skipped,
                   (long long)j->completed, (long long)j->failed_again);
        assert_false(failed(store_job_letters(s, j->id, true, 0, 1000, arena, &letters)));
        for (size_t k = 0; k < letters.n; k++)
            buf_printf(b, " %.*s", SLICE_FMT(letters.ids[k]));
        buf_put_byte(b, '\n');
    }
}

static void put_overview(struct store *s, struct buf *b)
{
    struct overview o;

    assert_false(failed(store_overview(s, 0, 100 * 60000, 60000, arena, &o)));
    buf_printf(b, "overview %lld %lld groups=%lld oldest=%lld", (long long)o.letters, (long long)o.unfinished,
               (long long)o.groups, (long long)o.oldest_unfinished_ms);
    for (size_t i = 0; i < o.npoints; i++)
        if (o.points[i].came || o.points[i].finished)
            buf_printf(b, " %zu:%lld-%lld=%lld", i, (long long)o.points[i].came, (long long)o.points[i].finished,
                       (long long)o.points[i].unfinished);
    buf_put_byte(b, '\n');
}

char *dump(void)
{
    struct store *s = open_reader();
    struct action_page actions;
    struct buf b = BUF(16 * 1024 * 1024);

    put_letters(s, &b);
    put_groups(s, &b);
    put_jobs(s, &b);
    put_overview(s, &b);
    assert_false(failed(store_actions(s, &(struct action_filter){.from_ms = 0}, STORE_OLDEST_FIRST, 0, 1000, arena, &actions)));
    for (size_t i = 0; i < actions.n; i++)
        buf_printf(&b, "action %.*s\n", SLICE_FMT(actions.rows[i].id));
    store_close(s);
    (void)buf_text(&b);
    assert_false(b.failed);
    return b.at;
}
