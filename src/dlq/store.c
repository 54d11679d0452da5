/* The index file: its tables, its connections, its batches. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_parts.h"
#include "topic_ids.h"

/* Secondary indexes end with num, the primary key, so a page by one filter is a walk along one of them. They are for what changes
 * (status, job, …) and for what few letters share; what many share and never changes (topic, agent, class, …) is found by a term
 * of the full-text index (store_words.c), which costs a batch a tenth of what an index does. Columns that hold somebody's bytes
 * (key, headers, value) lie apart: walking over letters does not touch them. */
static const char schema[] =
    "CREATE TABLE letters (num INTEGER PRIMARY KEY, id TEXT NOT NULL, family INT NOT NULL, dlq_topic TEXT NOT NULL, "
    "dlq_partition "
    "INT NOT NULL, dlq_offset INT NOT NULL, topic TEXT, partition INT, offset INT, consumer TEXT, task_id TEXT, session_id TEXT, "
    "agent TEXT, class TEXT, code TEXT, stage TEXT, message TEXT, step INT, attempts INT, redrives INT NOT NULL, first_failed_at "
    "INT, failed_at INT NOT NULL, started_at INT, retryable INT, worker TEXT, schema_id INT, value_omitted TEXT, trace_id TEXT, "
    "fingerprint TEXT NOT NULL, occurrences INT NOT NULL, value_size INT, value_kept INT, status INT NOT NULL, status_at INT, "
    "due_at INT, sent INT NOT NULL, job TEXT, assigned TEXT, newer_id TEXT, notes INT NOT NULL, base INT NOT NULL, base_at INT, "
    "sent_job TEXT, pending_job TEXT, newer_at INT, ended TEXT);"
    "CREATE UNIQUE INDEX letters_id ON letters (id);"
    "CREATE INDEX letters_group ON letters (fingerprint);"
    "CREATE INDEX letters_status ON letters (status);"
    "CREATE INDEX letters_task ON letters (task_id, redrives) WHERE task_id IS NOT NULL;"
    "CREATE INDEX letters_session ON letters (session_id) WHERE session_id IS NOT NULL;"
    "CREATE INDEX letters_job ON letters (job) WHERE job IS NOT NULL;"
    "CREATE INDEX letters_assigned ON letters (assigned) WHERE assigned IS NOT NULL;"
    "CREATE INDEX letters_due ON letters (due_at) WHERE due_at >= 0;"
    "CREATE INDEX letters_undecided ON letters (redrives) WHERE (status = 0 AND status_at = failed_at AND (retryable = 1 OR "
    "redrives > 0));"
    "CREATE TABLE bytes (num INTEGER PRIMARY KEY, key BLOB, headers BLOB, value BLOB);"
    "CREATE VIRTUAL TABLE words USING fts5 (text, content = '', detail = none, columnsize = 0, tokenize = 'unicode61 "
    "remove_diacritics 2');"
    "CREATE TABLE terms (term TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE tallies (kind INT, name TEXT, of TEXT, status INT, n INT NOT NULL, PRIMARY KEY (kind, name, of, status)) "
    "WITHOUT "
    "ROWID;"
    "CREATE TABLE minutes (minute INTEGER PRIMARY KEY, came INT NOT NULL, finished INT NOT NULL);"
    "CREATE TABLE groups (fingerprint TEXT PRIMARY KEY, first_num INT, last_num INT, resolved_at INT, returned_at INT, "
    "alerted_at "
    "INT, assigned TEXT) WITHOUT ROWID;"
    "CREATE TABLE actions (num INTEGER PRIMARY KEY, id TEXT NOT NULL, effect INT NOT NULL, kind TEXT NOT NULL, at INT NOT NULL, "
    "actor TEXT, actor_kind TEXT, reason TEXT, letter TEXT, grp TEXT, job TEXT, name TEXT, detail TEXT, due_at INT, body BLOB, "
    "schema_id INT, partition INT NOT NULL, offset INT NOT NULL, request TEXT);"
    "CREATE UNIQUE INDEX actions_id ON actions (id);"
    "CREATE INDEX actions_request ON actions (request) WHERE request IS NOT NULL;"
    "CREATE INDEX actions_letter ON actions (letter) WHERE letter IS NOT NULL;"
    "CREATE INDEX actions_group ON actions (grp) WHERE grp IS NOT NULL;"
    "CREATE INDEX actions_job ON actions (job) WHERE job IS NOT NULL;"
    "CREATE INDEX actions_job_own ON actions (job) WHERE job IS NOT NULL AND letter IS NULL;"
    "CREATE INDEX actions_kind ON actions (kind);"
    "CREATE INDEX actions_actor ON actions (actor);"
    "CREATE TABLE alerts (grp TEXT, sink TEXT, at INT NOT NULL, kind TEXT, PRIMARY KEY (grp, sink)) WITHOUT ROWID;"
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, num INT NOT NULL, state INT NOT NULL, requested_at INT, ended_at INT, actor TEXT, "
    "reason TEXT, body BLOB, schema_id INT, selected_all INT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX jobs_num ON jobs (num);"
    "CREATE TABLE job_letters (job TEXT, letter TEXT, place INT, sent INT NOT NULL, PRIMARY KEY (job, letter)) WITHOUT ROWID;"
    "CREATE INDEX job_letters_letter ON job_letters (letter);"
    "CREATE INDEX job_letters_place ON job_letters (job, place);"
    "CREATE INDEX job_letters_sent ON job_letters (job, sent, place);"
    "CREATE TABLE places (topic TEXT, partition INT, next INT NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT "
    "ROWID;" TOPIC_IDS_TABLE;

static int64_t read_number(struct database *db, const char *sql)
{
    struct statement *st = database_prepare(db, sql);
    int64_t n = statement_step(st) ? statement_int_at(st, 0) : 0;

    statement_reset(st);
    return n;
}

static struct error make_folder(const char *folder, char *detail, size_t room)
{
    struct stat st;
    char path[4096];

    snprintf(path, sizeof path, "%s", folder);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755); /* what is missing now is said by the last one */
        *slash = '/';
    }
    if (mkdir(path, 0700) == 0 || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return error_none();
    snprintf(detail, room, "%s: cannot be made: make it, or set dlq.folder", folder);
    return error_make(CLASS_CONFIG, "dlq_folder", "the folder of the index cannot be made");
}

static struct store *store_new(const struct store_options *options, bool writer)
{
    struct store *s = calloc(1, sizeof *s);

    if (s && asprintf(&s->path, "%s/letters.db", options->folder) < 0)
        s->path = NULL;
    if (!s || !s->path) {
        free(s);
        return NULL;
    }
    s->options = *options;
    s->writer = writer;
    return s;
}

static void remove_files(const struct store *s)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[4200];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", s->path, ends[i]);
        unlink(path);
    }
}

static struct error open_file(struct store *s, char *detail, size_t room)
{
    return database_open(&(struct database_options){.path = s->path,
                                                    .role = s->writer ? DATABASE_WRITER : DATABASE_READER,
                                                    .cache_bytes = s->options.cache_bytes},
                         &s->db, detail, room);
}

static void make_tables(struct store *s)
{
    char version[64];

    database_run(s->db, "BEGIN IMMEDIATE");
    database_run(s->db, schema);
    snprintf(version, sizeof version, "PRAGMA user_version = %d", STORE_VERSION);
    database_run(s->db, version);
    database_run(s->db, "COMMIT");
}

/* A file of another version, and a damaged one, holds nothing that the topics do not. */
static struct error open_or_make(struct store *s, bool *made, char *detail, size_t room)
{
    struct error error = open_file(s, detail, room);
    int64_t version = failed(error) ? -1 : read_number(s->db, "PRAGMA user_version");

    if (failed(error) && error.class != CLASS_INTERNAL)
        return error;
    if (failed(error) || version != STORE_VERSION || failed(database_error(s->db))) {
        *made = true;
        database_close(s->db);
        remove_files(s);
        error = open_file(s, detail, room);
        if (failed(error))
            return error;
        make_tables(s);
    }
    error = database_error(s->db);
    if (failed(error))
        snprintf(detail, room, "%s: %s", s->path, database_detail(s->db));
    return error;
}

struct error store_open_writer(const struct store_options *options, struct store **out, bool *made, char *detail, size_t room)
{
    struct store *s = store_new(options, true);
    struct error error;

    *out = NULL;
    *made = false;
    if (!s)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the index");
    error = make_folder(options->folder, detail, room);
    if (!failed(error))
        error = open_or_make(s, made, detail, room);
    if (failed(error)) {
        store_close(s);
        return error;
    }
    s->have_actions = read_number(s->db, "SELECT EXISTS (SELECT 1 FROM actions)");
    s->have_jobs = read_number(s->db, "SELECT EXISTS (SELECT 1 FROM job_letters)");
    *out = s;
    return error_none();
}

bool store_has_other_topics(struct store *s, const char *const *topics, size_t n)
{
    struct statement *st = database_prepare(s->db, "SELECT DISTINCT topic FROM places");
    bool other = false;

    while (!other && statement_step(st)) {
        bool known = false;

        for (size_t i = 0; i < n; i++)
            known = known || slice_is(statement_text_at(st, 0), topics[i]);
        other = !known;
    }
    statement_reset(st);
    return other;
}

struct error store_open_anew(const struct store_options *options, struct store **s, char *detail, size_t room)
{
    struct store *old = *s;
    bool made;

    database_close(old->db);
    old->db = NULL;
    remove_files(old);
    store_close(old);
    return store_open_writer(options, s, &made, detail, room);
}

bool store_is_of_topic(struct store *s, const char *topic, const char *id) { return topic_ids_agree(s->db, topic, id); }

struct error store_empty(struct store *s)
{
    store_begin(s);
    topic_ids_empty(s->db);
    database_run(s->db, "INSERT INTO words (words) VALUES ('delete-all')");
    s->have_actions = s->have_jobs = false;
    return store_commit(s);
}

struct error store_open_reader(const struct store_options *options, struct store **out, char *detail, size_t room)
{
    struct store *s = store_new(options, false);
    struct error error;

    *out = NULL;
    if (!s)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the index");
    error = open_file(s, detail, room);
    if (failed(error)) {
        store_close(s);
        return error;
    }
    *out = s;
    return error_none();
}

void store_close(struct store *s)
{
    if (!s)
        return;
    arena_free(s->arena);
    database_close(s->db);
    free(s->path);
    free(s);
}

struct database *store_database(struct store *s) { return s->db; }

/* ---- Batches */

void store_begin(struct store *s)
{
    s->arena = arena_new(STORE_BATCH_MAX);
    database_run(s->db, "BEGIN IMMEDIATE");
}

static void end_batch(struct store *s)
{
    arena_free(s->arena);
    s->arena = NULL;
    s->tallies = (struct tallies){0};
    s->words = NULL;
    s->nwords = 0;
}

void store_abort(struct store *s)
{
    database_error_clear(s->db);
    database_run(s->db, "ROLLBACK");
    database_error_clear(s->db); /* SQLite may have rolled back by itself */
    end_batch(s);
}

struct error store_commit(struct store *s)
{
    struct error error;

    if (s->arena) {
        words_flush(s);
        groups_flush(s);
        tally_flush(&s->tallies, s->db);
    }
    if (!s->arena || arena_failed(s->arena)) {
        store_abort(s);
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for a batch of letters");
    }
    database_run(s->db, "COMMIT");
    error = database_error(s->db);
    if (failed(error))
        store_abort(s);
    else
        end_batch(s);
    return error;
}

void store_set_place(struct store *s, const char *topic, int32_t partition, int64_t next_offset)
{
    struct statement *st = database_prepare(s->db, "INSERT INTO places (topic, partition, next) VALUES (?1, ?2, ?3) ON CONFLICT "
                                                   "(topic, partition) DO UPDATE SET next = excluded.next");

    statement_text(st, 1, slice_of(topic));
    statement_int(st, 2, partition);
    statement_int(st, 3, next_offset);
    statement_run(st);
}

int64_t store_place(struct store *s, const char *topic, int32_t partition)
{
    struct statement *st = database_prepare(s->db, "SELECT next FROM places WHERE topic = ?1 AND partition = ?2");
    int64_t next;

    statement_text(st, 1, slice_of(topic));
    statement_int(st, 2, partition);
    next = statement_step(st) ? statement_int_at(st, 0) : KAFKA_OFFSET_BEGINNING;
    statement_reset(st);
    return next;
}

/* ---- For reading */

struct error store_outcome(struct store *s, const struct arena *arena)
{
    struct error error = database_error(s->db);

    database_error_clear(s->db);
    if (!failed(error) && arena_failed(arena))
        error = error_make(CLASS_INTERNAL, "out_of_memory", "the answer is too large");
    return error;
}

struct slice store_text(struct statement *st, int column, struct arena *arena)
{
    struct slice s = statement_text_at(st, column);

    return s.at ? arena_copy(arena, s) : s;
}
