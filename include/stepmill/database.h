/* SQLite, and the only place that knows it: a connection, its statements, values in and out.
 *
 * A connection belongs to one thread at a time, and so do its statements. A file has one writing connection and any number of
 * reading ones (WAL: readers see the last commit and never wait). Statements are prepared once and kept:
 *
 *     database_text(st, 1, id); database_int(st, 2, n);
 *     while (statement_step(st)) … statement_int_at(st, 0) …
 *     statement_reset(st);
 *     … once, after many:  error = database_error(db);
 *
 * The first thing that goes wrong on a connection is kept until database_error_clear: statements do nothing from then on and
 * step gives false, so callers look once, before they commit. Slices that come out are valid until the next step or reset.
 * Errors: wait database_full (disk) · wait database_busy · again database_interrupted (database_interrupt, or time over) ·
 * config database_denied (permissions, read-only folder) · internal database_corrupt (not a database, or damaged: delete the
 * file) · internal database_failed.
 */
#ifndef STEPMILL_DATABASE_H
#define STEPMILL_DATABASE_H

#include "bytes.h"
#include "error.h"

struct database;
struct statement;

enum database_role { DATABASE_WRITER, DATABASE_READER };

struct database_options {
    const char *path;
    enum database_role role; /* the writer makes the file if there is none (mode 0600) */
    int64_t cache_bytes;     /* of this connection; 0: 8 MiB */
    int64_t map_bytes;       /* of the file, mapped for reading; 0: none */
};

MUST_CHECK struct error database_open(const struct database_options *options, struct database **out, char *detail, size_t room);
/* Finalises the statements too. NULL is fine. */
void database_close(struct database *db);

/* Several statements, `;` between them; for schemas and transactions. Nothing happens while an error is kept. */
void database_run(struct database *db, const char *sql);
/* Made at the first call for this text, kept by the connection, found again by the text's address: pass a static string.
 * Never NULL: what can't be prepared is an error of the connection. */
struct statement *database_prepare(struct database *db, const char *sql);
/* The same for text that is put together, e.g. by filters; found by its content, the least used of 64 is dropped. */
struct statement *database_prepare_text(struct database *db, struct slice sql);

/* Parameters count from 1. An absent slice is NULL. Texts and blobs are not copied: they stay until the statement is reset. */
void statement_text(struct statement *s, int parameter, struct slice value);
void statement_blob(struct statement *s, int parameter, struct slice value);
void statement_int(struct statement *s, int parameter, int64_t value);
void statement_null(struct statement *s, int parameter);

/* True: a row is there. False: done, or an error. */
bool statement_step(struct statement *s);
/* Back to the start, parameters unset. */
void statement_reset(struct statement *s);
/* Step to the end and reset: for what gives no rows. Returns how many rows it changed. */
int64_t statement_run(struct statement *s);

/* Columns count from 0. NULL: absent slice; 0. */
struct slice statement_text_at(struct statement *s, int column);
struct slice statement_blob_at(struct statement *s, int column);
int64_t statement_int_at(struct statement *s, int column);
bool statement_is_null(struct statement *s, int column);

struct error database_error(const struct database *db);
/* SQLite's sentence about the error; "" when there is none. */
const char *database_detail(const struct database *db);
void database_error_clear(struct database *db);

/* From any thread while the connection is open: what runs now ends with database_interrupted. */
void database_interrupt(struct database *db);
/* Statements of this connection end with database_interrupted when they are still stepping at this time (clock_mono_ms); 0:
 * never. */
void database_deadline(struct database *db, int64_t mono_ms);
/* Writer: moves what the log file holds into the database file, as far as readers allow. */
void database_checkpoint(struct database *db);
/* Version of the linked library, e.g. "3.40.1". */
const char *database_version(void);

#endif
