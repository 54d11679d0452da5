/* SQLite connections and their statements; the one file that knows SQLite. */
#include "stepmill/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stepmill/clock.h"

enum {
    BUSY_MS = 5000, /* there is one writer: who waits waits for a checkpoint */
    TEXTS_MAX = 64,
    DEADLINE_STEPS = 1000, /* of SQLite's machine, between two looks at the clock */
    DETAIL_MAX = 256,
    CACHE_DEFAULT = 8 * 1024 * 1024,
};

struct statement {
    struct database *db;
    struct statement *next;
    sqlite3_stmt *st; /* NULL: could not be prepared, or is none */
    const char *key;  /* address of a static text; NULL: of its own */
    char *text;       /* its own */
    size_t length;
    uint64_t used;
};

struct database {
    sqlite3 *db;
    struct statement *statements, *texts;
    size_t ntexts;
    uint64_t uses;
    struct statement none; /* stands for what could not be made */
    struct error error;
    char detail[DETAIL_MAX];
    int64_t deadline_ms;
};

static struct error error_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return error_make(CLASS_WAIT, "database_full", "the disk is full");
    case SQLITE_IOERR:
        return error_make(CLASS_WAIT, "database_io", "the database file cannot be read or written");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_make(CLASS_WAIT, "database_busy", "another process uses the database file");
    case SQLITE_INTERRUPT:
        return error_make(CLASS_AGAIN, "database_interrupted", "the query took too long, or was given up");
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return error_make(CLASS_CONFIG, "database_denied", "the database file may not be opened or written");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_make(CLASS_INTERNAL, "database_corrupt", "the database file is damaged");
    case SQLITE_NOMEM:
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the database");
    default:
        return error_make(CLASS_INTERNAL, "database_failed", "the database refuses a statement");
    }
}

/* The first error counts: the others follow from it. */
static void keep_error(struct database *d, int code)
{
    if (failed(d->error) || code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return;
    d->error = error_of(code);
    snprintf(d->detail, sizeof d->detail, "%s", sqlite3_errmsg(d->db));
}

static int look_at_clock(void *ctx)
{
    const struct database *d = ctx;

    return d->deadline_ms && clock_mono_ms() >= d->deadline_ms;
}

static void set_up(struct database *d, const struct database_options *o)
{
    char sql[256];
    int64_t cache = o->cache_bytes ? o->cache_bytes : CACHE_DEFAULT;

    sqlite3_extended_result_codes(d->db, 1);
    sqlite3_busy_timeout(d->db, BUSY_MS);
    sqlite3_progress_handler(d->db, DEADLINE_STEPS, look_at_clock, d);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    /* synchronous NORMAL: a crash of the machine may lose the last batches, never tear one; the topics still hold them. */
    snprintf(sql, sizeof sql,
             "PRAGMA cache_size = -%lld; PRAGMA mmap_size = %lld; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;",
             (long long)(cache / 1024), (long long)o->map_bytes);
    database_run(d, sql);
    if (o->role == DATABASE_WRITER)
        database_run(d, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 10000; PRAGMA journal_size_limit = 67108864;");
    else
        database_run(d, "PRAGMA query_only = 1;");
}

struct error database_open(const struct database_options *options, struct database **out, char *detail, size_t room)
{
    bool writer = options->role == DATABASE_WRITER;
    struct database *d = calloc(1, sizeof *d);
    int code, fd;

    *out = NULL;
    if (room)
        *detail = '\0';
    if (!d)
        return error_make(CLASS_INTERNAL, "out_of_memory", "no memory left for the database");
    d->none.db = d;
    /* It holds prompts and answers; SQLite gives its other files the mode of the first. */
    fd = writer ? open(options->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        close(fd); /* of what cannot be made SQLite tells */
    code =
        sqlite3_open_v2(options->path, &d->db,
                        (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        set_up(d, options);
    else
        d->error = error_of(code);
    if (!failed(d->error)) {
        *out = d;
        return error_none();
    }
    snprintf(detail, room, "%s: %s", options->path, d->detail[0] ? d->detail : d->db ? sqlite3_errmsg(d->db) : "out of memory");
    struct error error = d->error;

    database_close(d);
    return error;
}

static void statement_free(struct statement *s)
{
    sqlite3_finalize(s->st);
    free(s->text);
    free(s);
}

static void free_all(struct statement *s)
{
    for (struct statement *next; s; s = next) {
        next = s->next;
        statement_free(s);
    }
}

void database_close(struct database *d)
{
    if (!d)
        return;
    free_all(d->statements);
    free_all(d->texts);
    sqlite3_close(d->db);
    free(d);
}

void database_run(struct database *d, const char *sql)
{
    if (!failed(d->error))
        keep_error(d, sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

static struct statement *statement_new(struct database *d, const char *text, size_t length)
{
    struct statement *s = failed(d->error) ? NULL : calloc(1, sizeof *s);

    if (!s) {
        keep_error(d, SQLITE_NOMEM);
        return NULL;
    }
    s->db = d;
    keep_error(d, sqlite3_prepare_v3(d->db, text, (int)length, SQLITE_PREPARE_PERSISTENT, &s->st, NULL));
    if (s->st)
        return s;
    statement_free(s);
    return NULL;
}

struct statement *database_prepare(struct database *d, const char *sql)
{
    struct statement *s, **at = &d->statements;

    for (; *at; at = &(*at)->next)
        if ((*at)->key == sql) {
            s = *at; /* to the front: few are used often */
            *at = s->next;
            s->next = d->statements;
            d->statements = s;
            return s;
        }
    s = statement_new(d, sql, strlen(sql));
    if (!s)
        return &d->none;
    s->key = sql;
    s->next = d->statements;
    d->statements = s;
    return s;
}

static void drop_least_used(struct database *d)
{
    struct statement **least = &d->texts, *s;

    for (struct statement **at = &d->texts; *at; at = &(*at)->next)
        if ((*at)->used < (*least)->used)
            least = at;
    s = *least;
    *least = s->next;
    d->ntexts--;
    statement_free(s);
}

struct statement *database_prepare_text(struct database *d, struct slice sql)
{
    struct statement *s;

    for (s = d->texts; s; s = s->next)
        if (s->length == sql.len && !memcmp(s->text, sql.at, sql.len)) {
            s->used = ++d->uses;
            return s;
        }
    s = statement_new(d, sql.at, sql.len);
    if (!s)
        return &d->none;
    s->text = strndup(sql.at, sql.len);
    s->length = sql.len;
    s->used = ++d->uses;
    if (!s->text) {
        statement_free(s);
        keep_error(d, SQLITE_NOMEM);
        return &d->none;
    }
    if (d->ntexts >= TEXTS_MAX)
        drop_least_used(d);
    s->next = d->texts;
    d->texts = s;
    d->ntexts++;
    return s;
}

void statement_text(struct statement *s, int parameter, struct slice value)
{
    if (s->st && value.at)
        keep_error(s->db, sqlite3_bind_text(s->st, parameter, value.at, (int)value.len, SQLITE_STATIC));
    else if (s->st)
        keep_error(s->db, sqlite3_bind_null(s->st, parameter));
}

void statement_blob(struct statement *s, int parameter, struct slice value)
{
    if (s->st && value.at)
        keep_error(s->db, sqlite3_bind_blob(s->st, parameter, value.at, (int)value.len, SQLITE_STATIC));
    else if (s->st)
        keep_error(s->db, sqlite3_bind_null(s->st, parameter));
}

void statement_int(struct statement *s, int parameter, int64_t value)
{
    if (s->st)
        keep_error(s->db, sqlite3_bind_int64(s->st, parameter, value));
}

void statement_null(struct statement *s, int parameter)
{
    if (s->st)
        keep_error(s->db, sqlite3_bind_null(s->st, parameter));
}

bool statement_step(struct statement *s)
{
    int code;

    if (!s->st || failed(s->db->error))
        return false;
    code = sqlite3_step(s->st);
    keep_error(s->db, code);
    return code == SQLITE_ROW;
}

void statement_reset(struct statement *s)
{
    if (!s->st)
        return;
    sqlite3_reset(s->st); /* says again what step said */
    sqlite3_clear_bindings(s->st);
}

int64_t statement_run(struct statement *s)
{
    int64_t changed;

    while (statement_step(s))
        ;
    changed = failed(s->db->error) ? 0 : sqlite3_changes64(s->db->db);
    statement_reset(s);
    return changed;
}

static struct slice slice_at(struct statement *s, int column, const void *at)
{
    if (at)
        return (struct slice){at, (size_t)sqlite3_column_bytes(s->st, column)};
    return sqlite3_column_type(s->st, column) == SQLITE_NULL ? (struct slice){NULL, 0} : SLICE("");
}

struct slice statement_text_at(struct statement *s, int column)
{
    return slice_at(s, column, sqlite3_column_text(s->st, column));
}

struct slice statement_blob_at(struct statement *s, int column)
{
    return slice_at(s, column, sqlite3_column_blob(s->st, column));
}

int64_t statement_int_at(struct statement *s, int column) { return sqlite3_column_int64(s->st, column); }

bool statement_is_null(struct statement *s, int column) { return sqlite3_column_type(s->st, column) == SQLITE_NULL; }

struct error database_error(const struct database *d) { return d->error; }

const char *database_detail(const struct database *d) { return d->detail; }

void database_error_clear(struct database *d)
{
    d->error = error_none();
    d->detail[0] = '\0';
}

void database_interrupt(struct database *d) { sqlite3_interrupt(d->db); }

void database_deadline(struct database *d, int64_t mono_ms) { d->deadline_ms = mono_ms; }

void database_checkpoint(struct database *d)
{
    if (!failed(d->error))
        sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

const char *database_version(void) { return sqlite3_libversion(); }
